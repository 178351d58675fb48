// Another node as the coordinator has it: its questions reach that node's member, what they do there is what the
// cluster's state allows, and what comes back is taken for nothing but what it must be.
#define BOOST_TEST_DYN_LINK
#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/peer_cluster.hpp"
#include "tests/support/signed_cluster.hpp"
#include "tests/support/software_node.hpp"

using namespace volcrypt;
using namespace volcrypt::test;
using cluster::Generation;

namespace {

// Node 0 coordinates, node 1 is asked.
struct TwoNodes {
  PeerCluster nodes{[] { return std::make_unique<SoftwareNode>(); }, 2};
  std::unique_ptr<peer::RemoteMember> other = nodes[0].remote(nodes[1]);

  template <class T>
  T ask(asio::awaitable<T> question) {
    return nodes[0].run(std::move(question));
  }
  void ask(asio::awaitable<void> question) { nodes[0].run(std::move(question)); }
  template <class T>
  std::string refusal(asio::awaitable<T> question) {
    try {
      ask(std::move(question));
    } catch (const Error& error) {
      return errc_name(error.code()) + ": " + error.what();
    }
    return "not refused";
  }
  void rewrapping_to(Generation to) {
    nodes[1].at_home([to](const PeerNode::AtHome& home) {
      home.stored.rotation = cluster::RotationPhase::EncryptingDEKs;
      home.stored.current = to;
      home.work.held = {1, to};
      for (const char* name : {"a", "b", "c"}) home.work.volumes[name] = {1, Drive::present};
    });
  }
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

asio::awaitable<void> doze(std::string operation) {
  if (operation != "rewrapped one") co_return;
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(300));
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(peer_members, TwoNodes)

BOOST_AUTO_TEST_CASE(each_question_is_answered_by_the_other_nodes_own_member) {
  nodes[1].at_home([](const PeerNode::AtHome& home) {
    home.work.version = "1.2.3";
    home.work.not_ready = {"The TPM is absent.", "bell\a"};
    home.work.key_warnings = {"Its lockout auth is empty."};
    home.work.volumes["a"] = {3, Drive::absent};
    home.work.volumes["b"] = {18446744073709551615U, Drive::present};
  });
  const cluster::MemberReadiness readiness = ask(other->readiness(keys::Protection::software));
  BOOST_TEST(readiness.version == "1.2.3");
  BOOST_TEST(readiness.failures == (std::vector<std::string>{"The TPM is absent.", "bell?"}),
             boost::test_tools::per_element());
  BOOST_TEST(ask(other->key_warnings()) == (std::vector<std::string>{"Its lockout auth is empty."}),
             boost::test_tools::per_element());
  BOOST_TEST((ask(other->census()) == std::set<Generation>{3, 18446744073709551615U}));
  const SignedCluster authority;
  ask(other->adopt_membership(authority.sign(authority.membership(nodes[1].entry().node))));
  BOOST_TEST(nodes[1].at_home([](const PeerNode::AtHome& home) { return home.work.adopted; }) == 1U);
}

BOOST_AUTO_TEST_CASE(a_proof_brings_the_kek_first_when_it_is_not_there) {
  const keys::KekRecord record = nodes.create(0, 1);
  ask(other->prove_kek(record));
  ask(other->prove_kek(record));
  BOOST_TEST(nodes.same_group_key(0, 1, 1));
}

BOOST_AUTO_TEST_CASE(a_rewrap_that_takes_longer_than_an_answer_is_asked_after_until_it_has_ended) {
  rewrapping_to(2);
  nodes[1].at_home([](const PeerNode::AtHome& home) { home.member.around = doze; });
  const cluster::RewrapProgress progress = ask(other->rewrap_volumes(2));
  BOOST_TEST(progress.total == 3U);
  BOOST_TEST(progress.done == 3U);
  BOOST_TEST(ask(other->rewrap_progress()).done == 3U);
  nodes[1].at_home([](const PeerNode::AtHome& home) {
    for (const auto& [name, volume] : home.work.volumes) BOOST_TEST(volume.generation == 2U);
  });
}

BOOST_AUTO_TEST_CASE(what_a_rewrap_could_not_do_is_told_and_tried_again_by_the_next_one) {
  rewrapping_to(2);
  nodes[1].at_home([](const PeerNode::AtHome& home) { home.work.volumes["b"].drive = Drive::failing; });
  const cluster::RewrapProgress failed = ask(other->rewrap_volumes(2));
  BOOST_REQUIRE(failed.failures.size() == 1U);
  BOOST_TEST(holds(failed.failures.front(), "volume b"));
  nodes[1].at_home([](const PeerNode::AtHome& home) { home.work.volumes["b"].drive = Drive::present; });
  BOOST_TEST(ask(other->rewrap_volumes(2)).failures.empty());
}

BOOST_AUTO_TEST_CASE(nothing_is_rewrapped_or_destroyed_that_the_clusters_state_does_not_say) {
  rewrapping_to(2);
  BOOST_TEST(holds(refusal(other->rewrap_volumes(3)), "peer_refused: "));
  BOOST_TEST(holds(refusal(other->retire_kek(1)), "has not let it go"));
  nodes[1].at_home([](const PeerNode::AtHome& home) {
    home.stored.rotation = cluster::RotationPhase::NoRotation;
    home.stored.retiring = {1};
  });
  BOOST_TEST(holds(refusal(other->rewrap_volumes(2)), "does not rewrap to it now"));
  BOOST_TEST(holds(refusal(other->retire_kek(2)), "has not let it go"));
  BOOST_TEST(nodes[1].at_home([](const PeerNode::AtHome& home) { return home.work.destroyed.size(); }) == 0U);
  ask(other->retire_kek(1));
  BOOST_TEST(nodes[1].at_home([](const PeerNode::AtHome& home) { return home.work.destroyed.contains(1); }));
}

BOOST_AUTO_TEST_CASE(what_a_node_is_asked_by_itself_alone_is_refused_with_where_to_ask) {
  BOOST_TEST(holds(refusal(other->boot_report()), "on that node alone"));
  BOOST_TEST(holds(refusal(other->secure_boot()), "wrong_state: "));
  BOOST_TEST(holds(refusal(other->create_kek(1)), "wrong_state: "));
}

BOOST_AUTO_TEST_CASE(a_member_that_was_removed_is_not_asked_and_may_not_ask) {
  const auto coordinator = nodes[1].remote(nodes[0]);
  nodes.remove(1);
  BOOST_TEST(holds(refusal(other->census()), "no member of the cluster any more"));
  try {
    nodes[1].run(coordinator->census());
    BOOST_ERROR("a stranger was answered");
  } catch (const Error& error) {
    BOOST_TEST((error.code() == errc::peer_refused), error.what());
  }
}

BOOST_AUTO_TEST_CASE(who_is_asked_for_a_volume_says_what_it_has_or_that_it_cannot_tell) {
  const Uuid gone = Uuid::random(), visible = Uuid::random(), mapped = Uuid::random();
  nodes[1].at_home([&](const PeerNode::AtHome& home) {
    home.holding = {
        {gone, volumes::Holding::gone}, {visible, volumes::Holding::visible}, {mapped, volumes::Holding::mapped}};
  });
  const peer::Client client = nodes[0].client_of(nodes[1]);
  BOOST_TEST((ask(client.holds(gone)) == volumes::Holding::gone));
  BOOST_TEST((ask(client.holds(visible)) == volumes::Holding::visible));
  BOOST_TEST((ask(client.holds(mapped)) == volumes::Holding::mapped));
  BOOST_TEST(holds(refusal(client.holds(Uuid::random())), "timed_out"));
}

BOOST_AUTO_TEST_CASE(a_node_that_was_removed_is_told_nothing_of_volumes) {
  const Uuid volume = Uuid::random();
  nodes[1].at_home([&](const PeerNode::AtHome& home) { home.holding[volume] = volumes::Holding::gone; });
  const peer::Client client = nodes[0].client_of(nodes[1]);
  nodes.remove(0);
  BOOST_TEST(holds(refusal(client.holds(volume)), "peer_refused"));
}

BOOST_AUTO_TEST_SUITE_END()
