// What the journal is told of enabling, rotation and retirement, over a whole life of a cluster.
#define BOOST_TEST_DYN_LINK
#include "agent/cluster/changes.hpp"

#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/cluster_lives.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using test::Drive;

namespace {

struct Listened : Machine {
  std::vector<std::string> told;
  std::vector<std::string> waited_for;
  Agent agent{*this, listening()};

  DriverOptions listening() {
    DriverOptions options = quick;
    options.changed = [this](const EncryptionState& before, const EncryptionState& after) {
      for (const Change& change : changes(before, after))
        told.push_back(change.text.substr(0, change.text.find(':')) + " " + std::to_string(change.generation));
    };
    options.waiting = [this](const std::string& cause) { waited_for.push_back(cause); };
    return options;
  }
  static asio::awaitable<void> fail_to_create(std::string operation) {
    if (operation == "create") throw Error(errc::sealed_out, {"make", "a KEK", ""});
    co_return;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(enabling_rotation_and_retirement_are_told_once_and_in_order, Listened) {
  agent.become_encrypted();
  agent.rotate();
  const std::vector<std::string> expected{"the feature flag cluster-encryption is on 0",
                                          "cluster encryption is being enabled 1",
                                          "cluster encryption is enabled 1",
                                          "a rotation began 2",
                                          "the new KEK is current 2",
                                          "the rotation is complete 2",
                                          "an old KEK was destroyed everywhere 1"};
  BOOST_TEST(told == expected, boost::test_tools::per_element());
  BOOST_TEST(waited_for.empty());
}

BOOST_FIXTURE_TEST_CASE(a_rotation_that_is_taken_back_is_told_with_its_number_and_its_cause, Listened) {
  agent.become_encrypted();
  told.clear();
  agent.member.around = fail_to_create;
  agent.rotate();
  BOOST_TEST(told[0] == "a rotation began 2");
  BOOST_TEST(told[1] == "the rotation was aborted; the number is not used again 2");
  BOOST_REQUIRE(waited_for.size() == 1u);
  BOOST_TEST(waited_for[0].find("generation 2") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_holds_a_rotation_up_is_told_once_however_often_it_is_tried, Listened) {
  agent.become_encrypted();
  node.volumes["ill"] = {1, Drive::failing};
  agent.wait(agent.service.rotate());
  agent.run_until(RotationPhase::EncryptingDEKs);
  agent.wait(doze(std::chrono::milliseconds(50)));
  BOOST_REQUIRE(waited_for.size() == 1u);
  BOOST_TEST(waited_for[0].find("ill") != std::string::npos);
}
