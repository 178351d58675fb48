// A delete that was cut off, and what stands in its drive's place at the next start: it is done only where the very
// drive shows that the header is gone; another drive in the old place says nothing.
#include <filesystem>
#include <fstream>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;

namespace {

struct CutOff : test::NodeFixture {
  std::string device = drive("vdb"), drawer = directory.path("drawer");
  Uuid volume;

  CutOff() { volume = node->create("data1", device).record.volume; }

  void cut_before_the_first_write() { cut(devices->before); }
  void cut_after_the_last_write() { cut(devices->after); }
  void cut(std::function<void(std::string_view)>& moment) {
    moment = [](std::string_view call) {
      if (call == "erase") throw Error(errc::timed_out, {"erase", "the drive", ""});
    };
    BOOST_TEST(kind_of([&] { node->await(node->volumes.erase("data1")); }) == "timed_out");
    moment = nullptr;
    node.reset();
  }
  // Its drive lies in a drawer, and another one has its letter.
  void replace_drive() {
    std::filesystem::rename(device, drawer);
    devices->unplug(device);
    devices->set_identity(device, "another");
    drive("vdb");
  }
  void start() {
    restart();
    node->await(node->volumes.start());
  }
  bool known() { return node->await(node->store.get("volume/data1")).has_value(); }
  bool deleted() { return node->await(node->store.get("erased/" + volume.str())).has_value(); }
  void check_open() {
    BOOST_TEST(known());
    BOOST_TEST(!deleted());
    BOOST_TEST(node->await(node->store.get("header/" + volume.str())).has_value());
    BOOST_TEST(node->await(node->store.list("intent/")).size() == 1U);
  }
  std::string delete_again() {
    return kind_of([&] { node->await(node->volumes.erase("data1")); });
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_cut_delete, CutOff)

BOOST_AUTO_TEST_CASE(a_blank_drive_in_the_old_place_is_not_the_erased_one) {
  cut_before_the_first_write();
  replace_drive();
  start();
  check_open();
  BOOST_TEST(delete_again() == "device_unreadable");
  check_open();
  devices->unplug(device);  // the true one returns to its place
  std::filesystem::rename(drawer, device);
  devices->set_identity(device, "serial-of-vdb");
  devices->plug(device);
  start();
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST(delete_again() == "none");
  BOOST_TEST(deleted());
}

BOOST_AUTO_TEST_CASE(another_volume_or_other_data_in_the_old_place_is_not_the_erased_one) {
  cut_before_the_first_write();
  replace_drive();
  {
    std::fstream file(device, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(512).write("somebody's data", 15);
  }
  start();
  check_open();
  std::filesystem::resize_file(device, 0);
  std::filesystem::resize_file(device, test::FileDevices::drive_size);
  devices->unplug(device);
  node->create("data2", drive("vdc"));
  node->await(node->volumes.detach("data2"));
  std::filesystem::rename(directory.path("vdc"), device);
  devices->unplug(directory.path("vdc"));
  devices->plug(device);
  start();
  check_open();
}

BOOST_AUTO_TEST_CASE(the_erased_drive_is_known_by_its_identity_under_another_letter_too) {
  cut_after_the_last_write();
  std::filesystem::rename(device, directory.path("vdd"));
  devices->set_identity(directory.path("vdd"), "serial-of-vdb");
  devices->plug(directory.path("vdd"));
  devices->unplug(device);
  devices->set_identity(device, "another");
  drive("vdb");
  start();
  BOOST_TEST(!known());
  BOOST_TEST(deleted());
}

BOOST_AUTO_TEST_CASE(a_drive_of_the_same_identity_and_another_size_is_not_the_erased_one) {
  cut_after_the_last_write();
  std::filesystem::resize_file(device, 8 << 20);
  start();
  check_open();
}

BOOST_AUTO_TEST_CASE(zeros_on_a_drive_that_tells_no_identity_leave_the_question_open_until_it_is_forgotten) {
  devices->set_identity(device, "");
  cut_after_the_last_write();
  start();
  check_open();
  BOOST_TEST(kind_of([&] { node->await(node->volumes.forget("data1")); }) == "none");
  BOOST_TEST(!known());
  BOOST_TEST(node->await(node->store.list("intent/")).empty());
  BOOST_TEST(kind_of([&] { node->create("data1", device); }) == "none");
}

BOOST_AUTO_TEST_CASE(a_half_erased_header_that_names_the_volume_is_erased_to_its_end_without_an_identity) {
  devices->set_identity(device, "");
  cut_before_the_first_write();
  {
    std::fstream file(device, std::ios::in | std::ios::out | std::ios::binary);
    const std::string zeros(4096, '\0');
    for (const int copy : {0, 16384}) file.seekp(copy).write(zeros.data(), 4096);  // the metadata still stands
  }
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "not_ours");
  start();
  BOOST_TEST(deleted());
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
