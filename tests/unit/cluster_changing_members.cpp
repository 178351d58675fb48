// Nodes that come and go: what becomes of rotations, of what removed nodes leave, and of a coordinator that is removed.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/three_nodes.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using tests::refusal;

namespace {

std::string orphan_of(const Fleet::Node& node) {
  VolumeRecord record;
  record.name = "orphan";
  record.volume = Uuid::random();
  record.group = Uuid::random();
  record.owner = node.disk.id;
  record.generation = 1;
  return to_json(record);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_newer_document_reaches_all_and_who_missed_it_finds_it_in_the_store, ThreeNodes) {
  become_cluster();
  nodes[2]->cut_off = true;
  wait(0, nodes[0]->service->update_membership(document(3, 2)));
  BOOST_TEST(wait(1, nodes[1]->pin->read())->pin.newest_seen == 2u);
  BOOST_TEST(wait(2, nodes[2]->pin->read())->pin.newest_seen == 1u);
  at(2, &ClusterService::stand_by);
  BOOST_TEST(wait(2, nodes[2]->pin->read())->pin.newest_seen == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_rotation_counts_over_the_members_of_the_newest_document, ThreeNodes) {
  wait(0, nodes[0]->service->init(document(2)));
  at(1, &ClusterService::start);
  at(0, &ClusterService::set_feature_flag);
  wait(0, nodes[0]->service->enable(software));
  nodes[1]->around = refusing("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 1; });
  // The third comes in while the second has not proved: another node writes it, and this coordinator has not heard.
  wait(1, nodes[1]->service->update_membership(document(3, 2)));
  nodes[1]->around = nullptr;
  nodes[2]->cut_off = true;
  at(2, &ClusterService::start);
  run_for(20ms);
  BOOST_TEST(state().current == 1u);
  nodes[2]->cut_off = false;
  at(0, &ClusterService::stand_by);
  run_until([&] { return state().current == 2; });
  BOOST_TEST(nodes[2]->disk.proved.contains(2));
  run_until_rest();
}

BOOST_FIXTURE_TEST_CASE(a_node_that_is_no_member_any_more_does_not_coordinate, ThreeNodes) {
  become_encrypted();
  wait(0, nodes[0]->service->update_membership(document(2, 2)));
  const std::string text = refusal(errc::wrong_state, [&] { at(2, &ClusterService::rotate); });
  BOOST_TEST(holds(text, "none of its members"), text);
  BOOST_TEST(state().distributing == 0u);
  BOOST_TEST(coordinator() == "");
  at(1, &ClusterService::rotate);
  run_until([&] { return state().current == 2; });
}

BOOST_FIXTURE_TEST_CASE(a_coordinator_that_is_removed_gives_the_lease_back, ThreeNodes) {
  become_encrypted();
  nodes[1]->around = refusing("prove");
  at(2, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  wait(0, nodes[0]->service->update_membership(document(2, 2)));
  refusal(errc::wrong_state, [&] { at(2, &ClusterService::stand_by); });
  BOOST_TEST(coordinator() == "");
  nodes[1]->around = nullptr;
  at(0, &ClusterService::stand_by);  // it burns what the other has made, and goes on
  run_until([&] { return state().current == 3; });
  run_until_rest();
}

BOOST_FIXTURE_TEST_CASE(what_the_volumes_of_a_removed_node_need_is_kept, ThreeNodes) {
  become_encrypted();
  give_volumes();
  store.entries[store_key::volume("orphan")] = {store_key::volume("orphan"), orphan_of(*nodes[2]), 1};
  wait(0, nodes[0]->service->update_membership(document(2, 2)));
  at(0, &ClusterService::rotate);
  run_until([&] { return state().current == 2; });
  run_until_rest();
  BOOST_TEST((state().previous == std::set<Generation>{1}));
  BOOST_TEST(nodes[0]->disk.held.contains(1));
  // Forgotten at last, it lets the generation go.
  store.entries.erase(store_key::volume("orphan"));
  at(1, &ClusterService::reconsider_retirement);
  run_until([&] { return state().previous.empty(); });
  run_until_rest();
  BOOST_TEST(!nodes[0]->disk.held.contains(1));
}

// It wrote the header and not the record when it was removed: the header may be at any KEK that it had.
BOOST_FIXTURE_TEST_CASE(what_a_removed_node_may_have_rewrapped_to_is_kept, ThreeNodes) {
  become_encrypted();
  give_volumes();
  store.entries[store_key::volume("orphan")] = {store_key::volume("orphan"), orphan_of(*nodes[2]), 1};
  at(0, &ClusterService::rotate);
  run_until([&] { return state().current == 2; });
  run_until_rest();
  run_until([&] { return coordinator().empty(); });
  wait(0, nodes[0]->service->update_membership(document(2, 2, 2)));
  for (const Generation next : {3U, 4U}) {
    at(0, &ClusterService::rotate);
    run_until([&] { return state().current == next; });
    run_until_rest();
    run_until([&] { return coordinator().empty(); });
    BOOST_TEST(nodes[1]->disk.held.contains(2));
  }
  BOOST_TEST(state().previous.contains(2));
}

BOOST_FIXTURE_TEST_CASE(nobody_is_admitted_while_encryption_is_being_enabled, ThreeNodes) {
  wait(0, nodes[0]->service->init(document(2)));
  at(1, &ClusterService::start);
  at(0, &ClusterService::set_feature_flag);
  nodes[1]->around = hanging("prove");
  asio::co_spawn(*nodes[0]->loop, nodes[0]->service->enable(software), [](std::exception_ptr) {});
  run_until([&] { return state().proved.size() == 1; });
  const std::string text =
      refusal(errc::wrong_state, [&] { wait(0, nodes[0]->service->update_membership(document(3, 2))); });
  BOOST_TEST(holds(text, "get clusterinfo"), text);
  BOOST_TEST(wait(0, nodes[0]->pin->read())->pin.newest_seen == 1u);
}

// Whenever the document changes, at each call of the store: nobody proves for a member that was not asked.
BOOST_AUTO_TEST_CASE(a_generation_never_becomes_current_without_a_member_that_came_before_it_did) {
  for (std::size_t moment = 1; moment <= 48; ++moment) {
    ThreeNodes cluster;
    cluster.wait(0, cluster.nodes[0]->service->init(cluster.document(2)));
    cluster.at(1, &ClusterService::start);
    cluster.at(0, &ClusterService::set_feature_flag);
    cluster.wait(0, cluster.nodes[0]->service->enable(software));
    cluster.run_until_rest();
    cluster.nodes[2]->cut_off = true;
    std::size_t calls = 0;
    bool changed = false;
    Generation current_then = 0;
    const auto strike = [&]() -> asio::awaitable<void> {
      if (changed || ++calls != moment) co_return;
      changed = true;
      current_then = cluster.state().current;
      Transaction transaction;
      transaction.then.emplace_back(Put{std::string(store_key::membership), to_json(cluster.document(3, 2))});
      (void)co_await cluster.store.commit(std::move(transaction));
    };
    cluster.store.before = strike;
    cluster.at(0, &ClusterService::rotate);
    cluster.run_for(25ms);
    cluster.store.before = nullptr;
    if (!changed) break;
    BOOST_TEST(cluster.state().current == current_then, "moment " << moment);
    if (current_then == 2) break;
  }
}

// The one that goes may be the only one that can.
BOOST_FIXTURE_TEST_CASE(a_member_that_cannot_use_a_kek_removes_nobody_who_answers, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->around = refusing("prove");
  const std::string text =
      refusal(errc::wrong_generation, [&] { wait(1, nodes[1]->service->update_membership(document(2, 2))); });
  BOOST_TEST(holds(text, "KEK generation 1 cannot be used at node2"), text);
  BOOST_TEST(holds(text, "Give the command on a member whose volumes attach"), text);
  const auto stored = parse_signed_membership(store.entries.at(std::string(store_key::membership)).value);
  BOOST_TEST(parse_membership(stored.document).members.size() == 3U);
  nodes[2]->around = refusing("progress");
  wait(1, nodes[1]->service->update_membership(document(2, 2)));
}

BOOST_FIXTURE_TEST_CASE(no_kek_without_a_record_and_nobody_by_itself, ThreeNodes) {
  become_encrypted();
  BOOST_TEST(
      holds(refusal(errc::invalid_argument, [&] { wait(2, nodes[2]->service->update_membership(document(2, 2))); }),
            "another member"));
  store.entries.erase(store_key::generation(1));
  BOOST_TEST(
      holds(refusal(errc::wrong_generation, [&] { wait(1, nodes[1]->service->update_membership(document(2, 2))); }),
            "no record"));
}

BOOST_FIXTURE_TEST_CASE(a_rotation_goes_on_without_a_member_that_was_removed_under_a_kek_that_it_never_had,
                        ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->around = refusing("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  BOOST_TEST(nodes[2]->disk.held.contains(2));
  wait(0, nodes[0]->service->update_membership(document(2, 2)));
  nodes[1]->around = nullptr;
  at(0, &ClusterService::stand_by);
  run_until([&] { return state().current == 3; });
  run_until_rest();
  BOOST_TEST(!nodes[2]->disk.held.contains(3));
  for (const std::size_t member : {0U, 1U}) BOOST_TEST(nodes[member]->disk.volumes.at("v").generation == 3u);
}
