// The program that volumes_crash.cpp and its neighbours run into failpoints: one verb on the node in DIRECTORY, whose
// drives are files there. usage: volumes_scenario DIRECTORY VERB DRIVE...
// Exit status 0: done; 3: the verb ended with an error and said so.
#include <memory>
#include <string>
#include <vector>

#include "tests/support/file_devices.hpp"
#include "tests/support/scenario.hpp"
#include "tests/support/test_node.hpp"

namespace {

using volcrypt::test::TestNode;

void come_to_rest(TestNode& node) {
  if (!node.come_to_rest()) throw std::runtime_error(node.await(node.cluster.rotation()).waiting_for);
}

// The real coordinator makes the KEK, has it proved, rewraps, counts and retires.
void rotate(TestNode& node) {
  node.start();
  const auto wanted = node.await(node.cluster.rotate());
  come_to_rest(node);
  if (node.state().current != wanted) throw std::runtime_error("the rotation was called off");
}

void perform(TestNode& node, const std::string& verb, const std::string& drive) {
  if (verb == "create") {
    node.create("vdb", drive);
  } else if (verb == "erase") {
    node.await(node.volumes.erase("vdb"));
  } else if (verb == "rotate") {
    rotate(node);
  } else if (verb == "resume") {
    node.start();
    come_to_rest(node);
  } else {
    throw std::runtime_error("unknown verb " + verb);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const std::string directory = argv[1];
  return volcrypt::test::exit_status_of([&] {
    const auto devices = std::make_shared<volcrypt::test::FileDevices>();
    for (int i = 3; i < argc; ++i) devices->plug(directory + "/" + argv[i]);
    TestNode node(directory, devices);
    perform(node, argv[2], directory + "/" + argv[3]);
  });
}
