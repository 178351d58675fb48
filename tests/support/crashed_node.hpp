// A node that failed or was cut off at one step of a verb: how it is prepared, run into each of its failpoints, looked
// at from persistent bytes alone, and started again. For tests over the program volumes_scenario.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "tests/support/failpoints.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::test {

inline constexpr int said_so = 3;  // the program's exit status when its verb ended with an error

// Under the address sanitizer each way of failing is tried at every third step, another third for each way.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr long stride = 3;
#else
inline constexpr long stride = 1;
#endif

// A node's directory with drives in it; copied for each run.
struct PreparedNode {
  ScratchDirectory directory;
  std::string whole = directory.path("whole"), used = directory.path("used");

  // `make(directory)` fills it.
  template <class Make>
  explicit PreparedNode(Make make) {
    std::filesystem::create_directory(whole);
    make(whole);
  }

  void reset() const {
    std::filesystem::remove_all(used);
    std::filesystem::copy(whole, used, std::filesystem::copy_options::recursive);
  }
};

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

// Runs the verb into each step and way of failing, each on a fresh copy; `check(status)` sees what it left. Tells how
// many of how many were run.
template <class Check>
void at_every_step(const PreparedNode& prepared, const std::string& verb, const std::vector<std::string>& drives,
                   Check check) {
  std::vector<std::string> command{VOLCRYPT_VOLUMES_SCENARIO, prepared.used, verb};
  command.insert(command.end(), drives.begin(), drives.end());
  const FailingProgram program{prepared.used, command};
  prepared.reset();
  const long steps = program.count_steps();
  BOOST_REQUIRE(steps > 10);
  long run = 0, all = 0;
  for (long step = 1; step <= steps; ++step) {
    for (const Failpoint& failpoint :
         std::vector<Failpoint>{{step, "eio"}, {step, "enospc", true}, {step, "crash", false, true}, {step, "torn"}}) {
      const bool is_run = all++ % stride == step % stride || step == 1 || step == steps;
      if (!is_run) continue;
      ++run;
      prepared.reset();
      BOOST_TEST_CONTEXT(verb << ", " << failpoint) {
        try {
          const int status = program.run(failpoint);
          const bool ended_as_it_may = ends_the_program(failpoint) || status == 0 || status == said_so;
          BOOST_TEST(ended_as_it_may, "status " << status);
          check(status);
        } catch (const std::exception& error) {
          BOOST_ERROR(error.what());
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(verb << ": " << steps << " steps; " << run << " of " << all << " failures were run");
}

}  // namespace volcrypt::test
