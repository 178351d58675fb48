// Rewrap over real headers: attached, detached, absent and ill volumes; census and retirement; returning drives.
#include <filesystem>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using test::NodeFixture;

BOOST_FIXTURE_TEST_SUITE(volumes_rewrap, NodeFixture)

BOOST_AUTO_TEST_CASE(attached_and_detached_volumes_are_rewrapped_and_open_cold) {
  const std::string one = drive("vdb"), two = drive("vdc");
  node->create("data1", one);
  node->create("data2", two);
  node->await(node->volumes.detach("data2"));
  devices->hold("data1");
  node->make_current(2);
  const cluster::RewrapProgress progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.total == 2U);
  BOOST_TEST(progress.done == 2U);
  BOOST_TEST(progress.absent == 0U);
  BOOST_TEST(progress.failures.empty());
  BOOST_TEST(header_generation(one) == 2U);
  BOOST_TEST(header_generation(two) == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  node->forget(1);
  devices->let_go("data1");
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST(devices->mapped() == 2U);
}

BOOST_AUTO_TEST_CASE(rewrap_again_changes_nothing) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->make_current(2);
  node->await(node->volumes.rewrap_all(2));
  const auto token = devices->look(device).token;
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST((devices->look(device).token == token));
}

BOOST_AUTO_TEST_CASE(a_rewrap_costs_three_key_batches_however_many_volumes_share_the_group) {
  for (int i = 0; i < 8; ++i) node->create("data" + std::to_string(i), drive("vd" + std::to_string(i)));
  node->make_current(2);
  const auto before = node->volumes.work().key_batches;
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 8U);
  BOOST_TEST(node->volumes.work().key_batches - before ==
             3U);  // old key, new key, and the new key again for the cold check
}

BOOST_AUTO_TEST_CASE(an_absent_volume_keeps_its_generation_needed_and_is_rewrapped_when_it_returns) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->create("data2", drive("vdc"));
  node->await(node->volumes.detach("data1"));
  devices->unplug(device);
  node->make_current(2);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.absent == 1U);
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1, 2}));
  BOOST_TEST(kind_of([&] { node->await(node->member.retire_kek(1)); }) == "wrong_state");

  bool told = false;
  node->volumes.when_caught_up([&] { told = true; });
  devices->plug(device);
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
  BOOST_TEST(told);
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  node->forget(1);
}

BOOST_AUTO_TEST_CASE(a_header_replayed_after_retirement_is_refused_and_the_backup_brings_the_volume_back) {
  const std::string device = drive("vdb"), old = directory.path("old");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::copy_file(device, old);
  node->make_current(2);
  node->await(node->volumes.rewrap_all(2));
  node->forget(1);
  std::filesystem::copy_file(old, device, std::filesystem::copy_options::overwrite_existing);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data1")); }) == "wrong_generation");
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_drive_that_fails_keeps_its_old_wrap_and_does_not_stop_the_others) {
  const std::string bad = drive("vdb"), good = drive("vdc");
  node->create("data1", bad);
  node->create("data2", good);
  node->make_current(2);
  devices->break_down(bad);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST(progress.failures.size() + progress.absent == 1U);
  BOOST_TEST(header_generation(good) == 2U);
  BOOST_TEST(node->await(node->volumes.census()).contains(1));
  devices->repair(bad);
  BOOST_TEST(header_generation(bad) == 1U);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 2U);
}

BOOST_AUTO_TEST_CASE(of_two_copies_the_attached_one_is_rewrapped_and_the_other_left_as_it_is) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST(header_generation(copy) == 1U);
}

BOOST_AUTO_TEST_CASE(of_two_detached_copies_neither_is_rewrapped_and_the_volume_is_named) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->make_current(2);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 0U);
  BOOST_REQUIRE(progress.failures.size() == 1U);
  BOOST_TEST(progress.failures.front().find("data1") != std::string::npos);
  BOOST_TEST(header_generation(device) == 1U);
  BOOST_TEST(node->await(node->volumes.census()).contains(1));
}

BOOST_AUTO_TEST_CASE(with_the_store_gone_volumes_still_attach_from_the_local_copy) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.list());
  reboot();
  node->break_store();
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.census()); }) == "wrong_state");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
