// What the tests of VolumeService start from: a scratch directory, a machine of plain files, one node on it.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "dmtarget/error.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/volume_image.hpp"

namespace volcrypt::test {

struct NodeFixture {
  ScratchDirectory directory;
  std::shared_ptr<FileDevices> devices = std::make_shared<FileDevices>();
  std::unique_ptr<TestNode> node = std::make_unique<TestNode>(directory.path(), devices);

  std::string drive(const std::string& name) {
    std::string file = make_drive(directory.path(), name);
    devices->plug(file);
    return file;
  }
  // The daemon dies and comes back: mappings live on.
  void restart() {
    node.reset();
    node = std::make_unique<TestNode>(directory.path(), devices);
  }
  // The machine goes down: no mapping survives.
  void reboot() {
    node.reset();
    for (const dm::Mapping& mapping : devices->mappings()) devices->remove(mapping.name);
    std::filesystem::remove_all(directory.path("run"));
    node = std::make_unique<TestNode>(directory.path(), devices);
  }
  volumes::Condition condition(const std::string& name) { return node->await(node->volumes.get(name)).condition; }
  cluster::Generation header_generation(const std::string& device) { return devices->look(device).token.generation; }
};

// The kind of the Error that `call` ends with; "none" without one.
template <class Call>
std::string kind_of(Call call) {
  try {
    call();
  } catch (const boost::system::system_error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return errc_name(error.code());
  }
  return "none";
}

}  // namespace volcrypt::test
