// The program that cluster_crash.cpp runs into failpoints: one step of making a cluster on the node in DIRECTORY, with
// what volcryptctl sends for it in FILE. usage: cluster_scenario DIRECTORY enrol|init|enable FILE
// Exit status 0: done; 3: it ended with an error and said so.
#include <chrono>
#include <memory>
#include <string>

#include "agent/runtime/durable_file.hpp"
#include "tests/support/scenario.hpp"
#include "tests/support/test_node.hpp"

namespace {

using volcrypt::test::TestNode;

std::string content_of(const char* file) {
  const auto bytes = volcrypt::runtime::read_file(file, 1 << 20).value();
  return {bytes.begin(), bytes.end()};
}

// As volcryptctl, which may stop to wait: enabling goes on as long as its coordinator tries again.
void enable(TestNode& node) {
  node.await(node.cluster.set_feature_flag());
  bool ended = false;
  std::exception_ptr failure;
  boost::asio::co_spawn(node.loop, node.cluster.enable(volcrypt::keys::Protection::software),
                        [&](std::exception_ptr error) {
                          failure = error;
                          ended = true;
                        });
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!ended) {
    if (std::chrono::steady_clock::now() > limit) throw std::logic_error("the verb waits for what has come already");
    if (!node.come_to_rest() && !ended) throw std::runtime_error(node.await(node.cluster.rotation()).waiting_for);
  }
  if (failure) std::rethrow_exception(failure);
}

void perform(TestNode& node, const std::string& verb, const char* file) {
  node.start();
  if (verb == "enrol") {
    const volcrypt::control::EnrolRequest request{volcrypt::parse_node_record(content_of(file)).identity,
                                                  volcrypt::control::TpmUse::left_out};
    node.await(node.services.enrol(request));
  } else if (verb == "init") {
    node.await(node.services.init_cluster(volcrypt::cluster::parse_signed_membership(content_of(file))));
  } else {
    enable(node);
  }
  if (!node.come_to_rest()) throw std::runtime_error(node.await(node.cluster.rotation()).waiting_for);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return volcrypt::test::exit_status_of([&] {
    TestNode node(argv[1], std::make_shared<volcrypt::test::FileDevices>(), TestNode::Without::leave);
    perform(node, argv[2], argv[3]);
  });
}
