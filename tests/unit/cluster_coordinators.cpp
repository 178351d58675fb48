// Several nodes, one of which coordinates at a time: who it is, what the others say, and who goes on when it dies.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/three_nodes.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using test::Drive;
using tests::refusal;

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
    node->around = [&](std::string name) { return wait_while(clock, hangs && name == "prove", hangs); };
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

BOOST_FIXTURE_TEST_CASE(a_wish_that_is_refused_does_not_keep_the_lease, ThreeNodes) {
  become_cluster();
  run_until([&] { return coordinator().empty(); });
  refusal(errc::wrong_state, [&] { at(0, &ClusterService::rotate); });
  BOOST_TEST(coordinator() == "");
  at(1, &ClusterService::set_feature_flag);
}
