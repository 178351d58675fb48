// Attach by name, by device, at start and after removal; copies, strangers, leftovers; one bad drive never blocks
// others.
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using test::NodeFixture;

BOOST_FIXTURE_TEST_SUITE(volumes_attach, NodeFixture)

BOOST_AUTO_TEST_CASE(after_a_reboot_every_volume_is_attached) {
  for (const std::string name : {"data1", "data2", "data3"}) node->create(name, drive(name));
  reboot();
  BOOST_TEST(devices->mapped() == 0U);
  node->await(node->volumes.start());
  BOOST_TEST(devices->mapped() == 3U);
  BOOST_TEST(node->await(node->volumes.settle(std::chrono::seconds(0))).settled);
  BOOST_TEST((node->volumes.counts() ==
              std::map<std::pair<Condition, Generation>, std::size_t>{{{Condition::attached, 1}, 3}}));
}

BOOST_AUTO_TEST_CASE(an_agent_restart_leaves_live_mappings_as_they_are) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  devices->hold("data1");
  restart();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::no));
}

// FAILURES.md E: linstor-server#524, a mapping that stayed suspended because the resume never ran.
BOOST_AUTO_TEST_CASE(a_start_resumes_what_was_left_suspended_and_replaces_what_was_half_made) {
  node->create("data1", drive("vdb"));
  const VolumeView two = node->create("data2", drive("vdc"));
  devices->remove("data2");
  devices->leave_suspended("data1");
  devices->leave_half_made("data2", two.record.volume);
  BOOST_TEST((condition("data1") == Condition::failed));
  restart();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST((condition("data2") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(twenty_drives_cost_one_key_batch_per_group_at_boot) {
  for (int i = 0; i < 20; ++i) node->create("data" + std::to_string(i), drive("vd" + std::to_string(i)));
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST(devices->mapped() == 20U);
  BOOST_TEST(node->volumes.work().key_batches == 1U);
}

BOOST_AUTO_TEST_CASE(a_drive_that_does_not_read_fails_alone) {
  const std::string bad = drive("vdb");
  node->create("data1", bad);
  node->create("data2", drive("vdc"));
  reboot();
  devices->break_down(bad);
  node->await(node->volumes.start());
  BOOST_TEST((condition("data2") == Condition::attached));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data1")); }) == "device_unreadable");
  devices->repair(bad);
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_drive_that_reads_zeros_is_neither_attached_nor_forgotten_nor_formatted) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  reboot();
  const std::string aside = directory.path("aside");
  std::filesystem::rename(device, aside);
  std::ofstream(device).close();
  std::filesystem::resize_file(device, 4 << 20);
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::absent));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data1")); }) == "device_all_zero");
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");  // and nobody wrote to it
  std::filesystem::rename(aside, device);
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_blank_drive_is_refused_and_left_blank) {
  const std::string device = drive("vdb");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(device)); }) == "device_all_zero");
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");
}

BOOST_AUTO_TEST_CASE(a_drive_of_another_cluster_is_refused_and_left_as_it_is) {
  NodeFixture stranger;
  const std::string device = stranger.drive("vdb");
  stranger.node->create("data1", device);
  const auto before = devices->scan().size();
  devices->plug(device);
  BOOST_TEST(before == 0U);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(device)); }) == "wrong_cluster");
  BOOST_TEST(devices->mapped() == 0U);
  BOOST_TEST(node->await(node->volumes.list()).empty());
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{}));
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_plugged_in_beside_an_attached_drive_is_refused) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(copy)); }) == "duplicate_volume");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_from("data1", copy)); }) == "duplicate_volume");
  BOOST_TEST(node->await(node->volumes.get("data1")).device == device);
}

BOOST_AUTO_TEST_CASE(of_two_copies_at_boot_neither_is_attached_until_the_operator_names_one) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  node->create("data2", drive("vdd"));
  reboot();
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->await(node->volumes.start());
  BOOST_TEST((condition("data2") == Condition::attached));
  BOOST_TEST((condition("data1") != Condition::attached));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data1")); }) == "duplicate_volume");
  BOOST_TEST((node->await(node->volumes.attach_from("data1", copy)).changed == dm::Changed::yes));
  BOOST_TEST(node->await(node->volumes.get("data1")).device == copy);
}

BOOST_AUTO_TEST_CASE(a_drive_that_is_pulled_loses_its_mapping_and_gets_it_back_when_it_returns) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  const dev_t number = devices->look(device).number;
  devices->unplug(device);
  node->await(node->volumes.device_removed(device, number));
  BOOST_TEST(devices->mapped() == 0U);
  BOOST_TEST((condition("data1") == Condition::absent));
  devices->plug(device);
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
}

// udev's socket holds some hundred events; a shelf that goes and comes makes more.
BOOST_AUTO_TEST_CASE(a_drive_whose_going_and_coming_were_not_heard_loses_its_mapping_and_is_attached_again) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->create("data2", drive("vdc"));
  devices->unplug(device);
  node->await(node->volumes.news_were_missed());
  BOOST_TEST(devices->mapped() == 1U);
  BOOST_TEST((condition("data1") == Condition::absent));
  BOOST_TEST((condition("data2") == Condition::attached));
  devices->plug(device);
  node->await(node->volumes.news_were_missed());
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_drive_that_returns_while_its_old_mapping_is_in_use_is_attached_when_the_last_user_has_gone) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  const dev_t number = devices->look(device).number;
  devices->hold("data1");
  devices->unplug(device);
  node->await(node->volumes.device_removed(device, number));
  BOOST_TEST((condition("data1") == Condition::failed));  // held open, but it leads nowhere
  devices->plug(device);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(device)); }) == "device_busy");
  devices->let_go("data1");
  node->await(node->volumes.device_removed("/dev/dm-0", 1));  // what udev says of the mapping
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_drive_that_is_slow_to_leave_loses_its_mapping_when_it_has_left) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  const dev_t number = devices->look(device).number;
  std::thread kernel([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    devices->unplug(device);
  });
  node->await(node->volumes.device_removed(device, number));
  kernel.join();
  BOOST_TEST(devices->mapped() == 0U);
}

BOOST_AUTO_TEST_CASE(a_mapping_that_was_replaced_while_its_drive_was_leaving_is_not_removed) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  const dev_t number = devices->look(device).number;
  const std::string moved = directory.path("vdc");
  std::thread kernel([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::filesystem::copy_file(device, moved);
    devices->remove("data1");
    devices->unplug(device);
    devices->plug(moved);
    devices->map_again("data1", moved);
  });
  node->await(node->volumes.device_removed(device, number));
  kernel.join();
  BOOST_TEST(devices->mapped() == 1U);
}

BOOST_AUTO_TEST_CASE(removal_of_a_drive_that_is_still_there_changes_nothing) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.device_removed(device, devices->look(device).number, std::chrono::seconds(1)));
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_drive_that_the_catalogue_does_not_know_is_taken_in) {
  const std::string device = drive("vdb");
  const VolumeView view = node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  cluster::Transaction transaction;
  transaction.then = {cluster::Delete{"volume/data1"}, cluster::Delete{"header/" + view.record.volume.str()}};
  BOOST_REQUIRE(node->await(node->store.commit(transaction)));
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.get("data1")).record.owner == node->member.id()));
  BOOST_TEST(bool(node->await(node->store.get("header/" + view.record.volume.str()))));
}

BOOST_AUTO_TEST_CASE(
    a_drive_that_is_exchanged_behind_the_first_look_is_not_attached_in_place_of_the_one_that_was_asked_for) {
  const std::string asked = drive("vdb"), other = drive("vdc");
  node->create("data1", asked);
  node->create("data2", other);
  node->await(node->volumes.detach("data1"));
  node->await(node->volumes.detach("data2"));
  devices->unplug(other);
  int looks = 0;
  devices->before = [&](std::string_view call) {
    if (call != "look" || ++looks != 2) return;
    std::filesystem::copy_file(other, asked, std::filesystem::copy_options::overwrite_existing);
  };
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_from("data1", asked)); }) == "conflict");
  devices->before = nullptr;
  BOOST_TEST(looks == 2);
  BOOST_TEST(devices->mapped() == 0U);
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_said_to_be_unknown) {
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data9")); }) == "no_such_volume");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.detach("data9")); }) == "no_such_volume");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.erase("data9")); }) == "no_such_volume");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
