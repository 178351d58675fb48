// A node of plain files that failed or was cut off at one step (failing_steps.hpp): how it is prepared, looked at from
// persistent bytes alone, and started again.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "tests/support/failing_steps.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::test {

// A cluster with encryption enabled and one volume on each of these drives, named as it.
inline auto enabled_with(std::vector<std::string> drives) {
  return [drives = std::move(drives)](const std::string& directory) {
    const auto devices = std::make_shared<FileDevices>();
    TestNode node(directory, devices);
    for (const std::string& name : drives) {
      const std::string drive = make_drive(directory, name);
      devices->plug(drive);
      node.create(name, drive);
    }
  };
}

// The node started again after a power cut: no mapping is left.
struct StartedAgain {
  std::shared_ptr<FileDevices> devices = std::make_shared<FileDevices>();
  std::unique_ptr<TestNode> node;

  StartedAgain(const std::string& directory, const std::vector<std::string>& drives) {
    for (const std::string& name : drives) devices->plug(directory + "/" + name);
    node = std::make_unique<TestNode>(directory, devices);
    node->start();
  }
  std::size_t attached() {
    std::size_t count = 0;
    for (const volumes::VolumeView& view : node->await(node->volumes.list()))
      count += view.condition == volumes::Condition::attached ? 1 : 0;
    return count;
  }
  bool nothing() { return node->await(node->volumes.list()).empty() && devices->mapped() == 0; }
};

// What the files of a node's key store hold, without a change to them: a copy is opened.
struct KeysOnDisk {
  ScratchDirectory directory;
  std::unique_ptr<keys::SoftwareKekStore> store;

  explicit KeysOnDisk(const std::string& node) {
    std::filesystem::copy(node + "/software", directory.path("software"), std::filesystem::copy_options::recursive);
    store = std::make_unique<keys::SoftwareKekStore>(directory.path("software"));
  }
  std::map<keys::Generation, Bytes> names() const {
    std::map<keys::Generation, Bytes> found;
    for (const keys::KekRecord& record : store->held()) found[record.generation] = record.name;
    return found;
  }
  // Its DEK unwrapped from the drive's own bytes under a KEK of these files, and verified against the drive's digest.
  // Throws Error. The drive's generation.
  keys::Generation open(const std::string& drive) const {
    dm::LuksHeader header = dm::LuksHeader::open(drive);
    header.check_description();
    const dm::Token token = header.token();
    const std::vector<Secret> group = store->group_keys(token.generation, {token.group});
    header.verify_volume_key(keys::unwrap(token, group.front()));
    return token.generation;
  }
};

}  // namespace volcrypt::test
