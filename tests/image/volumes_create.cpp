// Create, detach and erase on plain files, and what is left when they are cut off between their steps.
#include <filesystem>

#include "agent/runtime/durable_file.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using test::NodeFixture;

BOOST_FIXTURE_TEST_SUITE(volumes_create, NodeFixture)

BOOST_AUTO_TEST_CASE(a_created_volume_is_attached_catalogued_and_backed_up) {
  const std::string device = drive("vdb");
  const VolumeView view = node->create("data1", device);
  BOOST_TEST((view.condition == Condition::attached));
  BOOST_TEST(view.mapping == "/dev/mapper/data1");
  BOOST_TEST(view.record.generation == 1U);
  BOOST_TEST(view.record.bytes == 4U << 20);
  BOOST_TEST((view.record.owner == node->member.id()));
  BOOST_TEST(!node->await(node->volumes.header_backup("data1")).empty());
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1}));
}

BOOST_AUTO_TEST_CASE(a_volume_that_cannot_be_mapped_is_an_error_and_whole) {
  const std::string device = drive("vdb");
  devices->before = [](std::string_view call) {
    if (call == "attach") throw Error(errc::device_busy, {"map", "data1", "Somebody has it open."});
  };
  std::string told;
  try {
    node->create("data1", device);
  } catch (const Error& error) {
    told = error.what();
  }
  devices->before = nullptr;
  BOOST_TEST(told.find("Somebody has it open.") != std::string::npos, told);
  BOOST_TEST(told.find("volcryptctl attach data1") != std::string::npos, told);
  BOOST_TEST((node->await(node->volumes.get("data1")).condition == Condition::failed));
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_second_volume_of_the_same_name_is_refused_and_its_drive_untouched) {
  node->create("data1", drive("vdb"));
  const std::string other = drive("vdc");
  BOOST_TEST(kind_of([&] { node->create("data1", other); }) == "name_taken");
  BOOST_TEST(kind_of([&] { devices->look(other); }) == "device_all_zero");
  BOOST_TEST(node->await(node->volumes.list()).size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_drive_that_carries_a_volume_is_refused_even_when_erasing_was_asked_for) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  BOOST_TEST(kind_of([&] {
               node->await(node->volumes.create({"data2", device, dm::ExistingData::erase, dm::Discards::refused}));
             }) != "none");
  BOOST_TEST(devices->look(device).token.name == "data1");
  BOOST_TEST(node->await(node->volumes.list()).size() == 1U);  // and no intent is left behind
  BOOST_TEST(kind_of([&] { node->create("data2", drive("vdc")); }) == "none");
}

BOOST_AUTO_TEST_CASE(names_that_device_mapper_would_escape_are_refused_before_anything_is_read) {
  BOOST_TEST(kind_of([&] { node->create("../data1", "/nonexistent"); }) == "invalid_argument");
  BOOST_TEST(kind_of([&] { node->create("", "/nonexistent"); }) == "invalid_argument");
}

BOOST_AUTO_TEST_CASE(a_drive_that_is_not_there_is_an_error_and_leaves_no_record) {
  BOOST_TEST(kind_of([&] { node->create("data1", directory.path("vdz")); }) == "device_unreadable");
  BOOST_TEST(node->await(node->volumes.list()).empty());
}

BOOST_AUTO_TEST_CASE(volumes_of_one_node_share_a_group) {
  const VolumeView one = node->create("data1", drive("vdb"));
  const VolumeView two = node->create("data2", drive("vdc"));
  BOOST_TEST((one.record.group == two.record.group));
  BOOST_TEST((one.record.volume != two.record.volume));
}

BOOST_AUTO_TEST_CASE(detach_says_whether_anything_changed_and_refuses_a_volume_in_use) {
  node->create("data1", drive("vdb"));
  devices->hold("data1");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.detach("data1")); }) == "device_busy");
  BOOST_TEST((condition("data1") == Condition::attached));
  devices->let_go("data1");
  BOOST_TEST((node->await(node->volumes.detach("data1")).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.detach("data1")).changed == dm::Changed::no));
  BOOST_TEST((condition("data1") == Condition::detached));
}

BOOST_AUTO_TEST_CASE(a_volume_that_was_detached_by_order_stays_down_until_it_is_attached) {
  node->create("data1", drive("vdb"));
  node->await(node->volumes.detach("data1"));
  node->await(node->volumes.attach_missing());
  BOOST_TEST((condition("data1") == Condition::detached));
  BOOST_TEST(node->await(node->volumes.settle(std::chrono::seconds(0))).settled);
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(
    a_volume_that_was_detached_by_order_stays_down_over_a_restart_of_the_agent_and_returns_at_a_reboot) {
  for (const std::string name : {"data1", "data2", "data3"}) node->create(name, drive("drive-of-" + name));
  node->await(node->volumes.detach("data1"));
  node->await(node->volumes.detach("data2"));
  node->await(node->volumes.attach("data2"));
  restart();
  devices->remove("data2");  // it is not down by order any more
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::detached));
  BOOST_TEST((condition("data2") == Condition::attached));
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_damaged_list_of_detached_volumes_keeps_none_down) {
  const std::string volume = node->create("data1", drive("vdb")).record.volume.str();
  const std::string another = Uuid::random().str() + "\n";
  for (const std::string& content :
       {volume, std::string("data1\n"), volume + "\n\n", another + volume.substr(1) + "\n"}) {
    node->await(node->volumes.detach("data1"));
    runtime::write_durably(directory.path("run/detached"), as_bytes(content));
    restart();
    node->await(node->volumes.start());
    BOOST_TEST((condition("data1") == Condition::attached), content);
  }
}

// The state directory was replaced, perhaps by that of another cluster with a volume of the same name.
BOOST_AUTO_TEST_CASE(a_list_of_detached_volumes_holds_for_those_volumes_whatever_their_names) {
  node->create("data1", drive("vdb"));
  node->await(node->volumes.detach("data1"));
  runtime::write_durably(directory.path("run/detached"), as_bytes(Uuid::random().str() + "\n"));
  restart();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(an_erased_volume_is_gone_from_drive_catalogue_and_backups) {
  const std::string device = drive("vdb");
  const VolumeView view = node->create("data1", device);
  node->await(node->volumes.erase("data1"));
  BOOST_TEST(devices->mapped() == 0U);
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.get("data1")); }) == "no_such_volume");
  BOOST_TEST(!node->await(node->store.get("header/" + view.record.volume.str())));
  BOOST_TEST(node->await(node->volumes.census()).empty());
  BOOST_TEST(kind_of([&] { node->create("data1", device); }) == "none");
}

BOOST_AUTO_TEST_CASE(a_volume_in_use_is_not_erased) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  devices->hold("data1");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.erase("data1")); }) == "device_busy");
  BOOST_TEST(devices->look(device).token.name == "data1");
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_volume_whose_drive_is_away_is_not_erased) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  devices->unplug(device);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.erase("data1")); }) == "device_unreadable");
  BOOST_TEST((condition("data1") == Condition::absent));
}

BOOST_AUTO_TEST_CASE(a_copy_of_an_erased_volume_is_refused) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::copy_file(device, copy);
  node->await(node->volumes.erase("data1"));
  devices->plug(copy);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(copy)); }) == "wrong_state");
  BOOST_TEST(devices->mapped() == 0U);
}

BOOST_AUTO_TEST_CASE(before_encryption_is_enabled_nothing_is_created) {
  const std::string device = drive("vdb");
  cluster::Transaction transaction;
  transaction.then = {cluster::Delete{"encryption"}};
  BOOST_REQUIRE(node->await(node->store.commit(transaction)));
  BOOST_TEST(kind_of([&] { node->create("data1", device); }) == "wrong_state");
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");
}

BOOST_AUTO_TEST_CASE(a_damaged_header_is_put_back_from_the_backup_that_is_kept) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::resize_file(device, 0);
  std::filesystem::resize_file(device, 4 << 20);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(device)); }) == "device_all_zero");
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.attach("data1")).volume.condition == Condition::attached));
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::no));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
