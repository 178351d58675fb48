// The program that volumes_crash.cpp runs into failpoints: one verb on the node in DIRECTORY, whose drive is
// DIRECTORY/vdb. Exit status 0: done; 3: the verb ended with an error and said so.
#include <cstdio>
#include <memory>
#include <string>

#include "tests/support/file_devices.hpp"
#include "tests/support/test_node.hpp"

namespace {

void perform(volcrypt::test::TestNode& node, const std::string& verb, const std::string& drive) {
  if (verb == "create") {
    node.create("data1", drive);
  } else if (verb == "erase") {
    node.await(node.volumes.erase("data1"));
  } else if (verb == "rotate") {
    node.make_current(2);
    const auto progress = node.await(node.volumes.rewrap_all(2));
    // The coordinator retires nothing while a volume was not rewrapped.
    if (progress.done != progress.total) throw std::runtime_error("a volume was not rewrapped");
    node.forget(1);
  } else {
    throw std::runtime_error("unknown verb " + verb);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string directory = argv[1], drive = directory + "/vdb";
  try {
    const auto devices = std::make_shared<volcrypt::test::FileDevices>();
    devices->plug(drive);
    volcrypt::test::TestNode node(directory, devices);
    perform(node, argv[2], drive);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
