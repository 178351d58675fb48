// Several nodes, one of which coordinates at a time: who it is, what the others say, and who goes on when it dies.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/fleet.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using test::Drive;
using tests::refusal;

namespace {

asio::awaitable<void> refuse(const char* refused, std::string operation) {
  if (operation == refused) throw Error(errc::sealed_out, {"do", "it", ""});
  co_return;
}
asio::awaitable<void> never_ends(const char* hanging, std::string operation) {
  if (operation == hanging) co_await doze(1h);
}
asio::awaitable<void> wait_while(bool concerned, const bool& hangs) {
  while (concerned && hangs) co_await doze(1ms);
}
auto refusing(const char* operation) {
  return [operation](std::string name) { return refuse(operation, std::move(name)); };
}
auto hanging(const char* operation) {
  return [operation](std::string name) { return never_ends(operation, std::move(name)); };
}
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string orphan_of(const Fleet::Node& node) {
  VolumeRecord record;
  record.name = "orphan";
  record.volume = Uuid::random();
  record.group = Uuid::random();
  record.owner = node.disk.id;
  record.generation = 1;
  return to_json(record);
}

struct ThreeNodes : Fleet {
  ThreeNodes() : Fleet(3) {}

  void give_volumes() {
    for (auto& node : nodes) node->disk.volumes["v"] = {state().current, Drive::present};
  }
  // Every node holds the current generation and nothing else, and each volume is at it.
  void expect_all_at(Generation generation) {
    BOOST_TEST(state().current == generation);
    for (const auto& node : nodes) {
      BOOST_TEST((node->disk.held == std::set<Generation>{generation}), node->disk.name);
      for (const auto& [name, volume] : node->disk.volumes)
        BOOST_TEST(volume.generation == generation, node->disk.name);
    }
  }
  void lease_ends() { clock_ahead += 120s; }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_rotation_waits_for_the_member_that_is_down_and_names_it, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->around = refusing("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  run_for(10ms);
  BOOST_TEST(state().current == 1u);
  const RotationView view = at(0, &ClusterService::rotation);
  BOOST_TEST(holds(view.waiting_for, "node2"), view.waiting_for);
  BOOST_TEST(view.coordinator == "node1");
  nodes[1]->around = nullptr;
  run_until([&] { return state().current == 2; });
  run_until_rest();
  expect_all_at(2);
}

BOOST_FIXTURE_TEST_CASE(a_wish_may_be_given_at_any_node_because_who_rests_does_not_coordinate, ThreeNodes) {
  become_encrypted();
  give_volumes();
  for (const std::size_t where : {2U, 1U, 0U, 1U}) {
    const Generation next = at(where, &ClusterService::rotate);
    run_until_rest();
    run_until([&] { return coordinator().empty(); });
    expect_all_at(next);
    BOOST_TEST(nodes[where]->disk.ever_made.contains(next));
  }
}

BOOST_FIXTURE_TEST_CASE(a_wish_waits_for_a_coordinator_that_is_about_to_rest, ThreeNodes) {
  become_encrypted();
  start(0, {.first_pause = 1ms, .longest_pause = 4ms, .lease_patience = 30s});
  at(0, &ClusterService::start);
  run_until([&] { return coordinator().empty(); });
  const auto lease = wait(1, store.acquire(std::string(store_key::coordinator_lease), "another", 60s));
  bool ended = false;
  asio::co_spawn(*nodes[0]->loop, nodes[0]->service->rotate(),
                 [&](std::exception_ptr failure, Generation) { ended = failure == nullptr; });
  run_for(5ms);
  wait(1, store.release(*lease));
  run_until([&] { return ended && state().current == 2; });
}

BOOST_FIXTURE_TEST_CASE(while_one_coordinates_the_others_name_it_and_the_way_out, ThreeNodes) {
  become_encrypted();
  nodes[1]->around = hanging("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  const std::string text = refusal(errc::conflict, [&] { at(2, &ClusterService::abort_rotation); });
  BOOST_TEST(holds(text, "\"node1\""), text);
  BOOST_TEST(holds(text, "get clusterinfo"), text);
  const ClusterInfo info = at(2, &ClusterService::info);
  BOOST_TEST(info.rotation.coordinator == "node1");
  BOOST_TEST(
      std::ranges::any_of(info.warnings, [](const std::string& each) { return holds(each, "\"node1\" works"); }));
  // Its look at the store does not disturb who works.
  at(2, &ClusterService::stand_by);
  BOOST_TEST(coordinator() == "node1");
  BOOST_TEST(state().distributing == 2u);
  BOOST_TEST((at(0, &ClusterService::abort_rotation) == 2));
  nodes[1]->around = nullptr;
}

BOOST_FIXTURE_TEST_CASE(another_goes_on_when_the_coordinator_dies_while_it_distributes, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->around = hanging("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  kill(0);
  nodes[1]->around = nullptr;
  at(1, &ClusterService::stand_by);  // the lease lives
  BOOST_TEST(coordinator() == "node1");
  BOOST_TEST(state().distributing == 2u);
  lease_ends();
  at(1, &ClusterService::stand_by);
  BOOST_TEST(coordinator() == "node2");
  run_until([&] { return state().distributing == 3; });  // 2 is burnt: nobody knows who has it
  run_for(10ms);
  BOOST_TEST(state().current == 1u);  // node1 is down
  start(0);
  at(0, &ClusterService::start);
  run_until([&] { return state().current == 3; });
  run_until_rest();
  expect_all_at(3);
}

BOOST_FIXTURE_TEST_CASE(another_goes_on_when_the_coordinator_dies_while_volumes_are_rewrapped, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[2]->around = hanging("rewrap");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().rewrapped.size() == 2; });
  kill(0);
  nodes[2]->around = nullptr;
  lease_ends();
  at(2, &ClusterService::stand_by);
  run_until([&] { return state().rewrapped.size() == 3; });
  BOOST_TEST(state().current == 2u);
  start(0);  // the census counts over all or not at all
  run_until_rest();
  expect_all_at(2);
}

BOOST_FIXTURE_TEST_CASE(a_coordinator_that_lost_its_lease_lets_go, ThreeNodes) {
  become_encrypted();
  give_volumes();
  bool hangs = true;
  for (auto& node : nodes)
    node->around = [&hangs](std::string name) { return wait_while(hangs && name == "prove", hangs); };
  at(0, &ClusterService::rotate);
  run_until([&] { return store.entries.contains(store_key::generation(2)); });
  lease_ends();
  at(1, &ClusterService::stand_by);  // it burns 2 and makes 3
  BOOST_TEST(coordinator() == "node2");
  hangs = false;  // what the first one was waiting for ends, and is nobody's business any more
  run_until([&] { return state().current == 3; });
  run_until_rest();
  run_for(20ms);
  expect_all_at(3);
  BOOST_TEST(at(0, &ClusterService::rotation).waiting_for == "");
  BOOST_TEST(nodes[0]->disk.destroyed.contains(2));
}

BOOST_FIXTURE_TEST_CASE(what_a_coordinator_without_its_lease_could_not_do_is_no_more_its_own, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[2]->disk.volumes["v"].drive = Drive::failing;
  start(0, {.first_pause = 1ms, .longest_pause = 4ms, .lease_ttl = 3s, .lease_patience = 20ms});
  at(0, &ClusterService::start);
  at(0, &ClusterService::rotate);
  run_until([&] { return state().rewrapped.size() == 2; });
  run_until([&] { return holds(at(0, &ClusterService::rotation).waiting_for, "node3"); });
  lease_ends();
  at(1, &ClusterService::stand_by);
  BOOST_TEST(coordinator() == "node2");
  run_until([&] { return at(0, &ClusterService::rotation).waiting_for.empty(); });
  run_until([&] { return holds(at(1, &ClusterService::rotation).waiting_for, "node3"); });
}

BOOST_FIXTURE_TEST_CASE(quiet_nodes_do_not_compete, ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->disk.volumes["v"].drive = Drive::absent;
  at(0, &ClusterService::rotate);
  run_until([&] { return state().current == 2; });
  run_until_rest();
  BOOST_TEST((state().previous == std::set<Generation>{1}));  // waits for a drive
  run_until([&] { return coordinator().empty(); });
  const Revision before = store.entries.at(std::string(store_key::encryption)).modified;
  for (std::size_t i = 0; i < 3; ++i) at(i, &ClusterService::stand_by);
  BOOST_TEST(coordinator() == "");
  BOOST_TEST(store.entries.at(std::string(store_key::encryption)).modified == before);
  // The drive is back, its node has rewrapped it: any node may let the old generation go.
  nodes[1]->disk.volumes["v"] = {2, Drive::present};
  at(1, &ClusterService::reconsider_retirement);
  run_until([&] { return state().previous.empty(); });
  run_until_rest();
  expect_all_at(2);
}

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

BOOST_FIXTURE_TEST_CASE(a_store_that_is_rolled_back_is_noticed_by_a_node_that_made_no_kek, ThreeNodes) {
  become_encrypted();
  const Entry old = store.entries.at(std::string(store_key::encryption));
  at(0, &ClusterService::rotate);
  run_until([&] { return state().current == 2; });
  run_until_rest();
  at(2, &ClusterService::stand_by);
  store.entries.at(std::string(store_key::encryption)).value = old.value;
  refusal(errc::too_old, [&] { at(2, &ClusterService::rotate); });
}

BOOST_FIXTURE_TEST_CASE(enabling_names_each_member_that_is_not_ready, ThreeNodes) {
  become_cluster();
  at(0, &ClusterService::set_feature_flag);
  nodes[1]->cut_off = true;
  nodes[2]->disk.version = "9.9.9";
  const std::string text = refusal(errc::wrong_state, [&] { wait(0, nodes[0]->service->enable(software)); });
  BOOST_TEST(holds(text, "node2: It does not answer"), text);
  BOOST_TEST(holds(text, "node3: It runs volcrypt 9.9.9"), text);
  BOOST_TEST((state().phase == EncryptionPhase::Disabled));
}

BOOST_FIXTURE_TEST_CASE(enabling_is_finished_or_taken_back_by_another_when_the_coordinator_dies, ThreeNodes) {
  become_cluster();
  at(0, &ClusterService::set_feature_flag);
  nodes[1]->around = hanging("prove");
  bool ended = false;
  asio::co_spawn(*nodes[0]->loop, nodes[0]->service->enable(software), [&](std::exception_ptr) { ended = true; });
  run_until([&] { return state().proved.size() == 2; });
  BOOST_TEST(!ended);
  kill(0);
  nodes[1]->around = nullptr;
  lease_ends();
  start(0);  // reachable again, and not yet started
  at(1, &ClusterService::stand_by);
  run_until([&] { return state().phase == EncryptionPhase::Enabled; });
  run_until_rest();
  expect_all_at(2);
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

BOOST_FIXTURE_TEST_CASE(a_rotation_goes_on_without_a_member_that_was_removed_under_a_kek_that_it_never_had,
                        ThreeNodes) {
  become_encrypted();
  give_volumes();
  nodes[1]->around = refusing("prove");
  at(0, &ClusterService::rotate);
  run_until([&] { return state().proved.size() == 2; });
  BOOST_TEST(nodes[2]->disk.held.contains(2));
  wait(1, nodes[1]->service->update_membership(document(2, 2)));
  nodes[1]->around = nullptr;
  at(0, &ClusterService::stand_by);
  run_until([&] { return state().current == 3; });
  run_until_rest();
  BOOST_TEST(!nodes[2]->disk.held.contains(3));
  for (const std::size_t member : {0U, 1U}) BOOST_TEST(nodes[member]->disk.volumes.at("v").generation == 3u);
}

BOOST_FIXTURE_TEST_CASE(a_wish_that_is_refused_does_not_keep_the_lease, ThreeNodes) {
  become_cluster();
  run_until([&] { return coordinator().empty(); });
  refusal(errc::wrong_state, [&] { at(0, &ClusterService::rotate); });
  BOOST_TEST(coordinator() == "");
  at(1, &ClusterService::set_feature_flag);
}
