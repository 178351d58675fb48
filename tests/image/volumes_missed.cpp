// Create on the drive of a volume that is missed: with a damaged header, or where it was last, on a path that reads
// zeros. --erase-existing-data is no word on it (longhorn#13668).
#include <filesystem>
#include <fstream>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;

namespace {

void overwrite(const std::string& file, int at, int length) {
  std::fstream drive(file, std::ios::in | std::ios::out | std::ios::binary);
  drive.seekp(at).write(std::string(length, '\x5a').data(), length);
}

void make_blank(const std::string& file, std::uintmax_t size = test::FileDevices::drive_size) {
  std::filesystem::resize_file(file, 0);
  std::filesystem::resize_file(file, size);
}

struct Missed : test::NodeFixture {
  std::string device = drive("vdb");
  std::string told;

  Missed() {
    node->create("data1", device);
    node->await(node->volumes.detach("data1"));
  }
  std::string create_on(const std::string& place) {
    return kind_of([&] {
      try {
        node->await(node->volumes.create({"data2", place, dm::ExistingData::erase, dm::Discards::refused}));
      } catch (const Error& error) {
        told = error.what();
        throw;
      }
    });
  }
  void check_restored(const std::string& place) {
    node->await(node->volumes.header_restore("data1", place, std::nullopt));
    BOOST_TEST((node->await(node->volumes.attach("data1")).volume.condition == Condition::attached));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_missed, Missed)

BOOST_AUTO_TEST_CASE(a_drive_whose_header_copies_are_both_damaged_is_refused_by_its_volumes_name) {
  overwrite(device, 64, 6);
  overwrite(device, 16384 + 64, 6);
  BOOST_TEST(create_on(device) == "device_not_blank");
  BOOST_TEST(told.find("header restore data1 --device " + device) != std::string::npos);
  check_restored(device);
}

BOOST_AUTO_TEST_CASE(a_drive_that_only_names_a_known_volume_is_refused_wherever_it_stands) {
  overwrite(device, 0, 4096);  // no magic is left: only the metadata tells
  overwrite(device, 16384, 4096);
  const std::string moved = directory.path("vdd");
  std::filesystem::rename(device, moved);
  devices->unplug(device);
  devices->plug(moved);
  BOOST_TEST(create_on(moved) == "device_not_blank");
  BOOST_TEST(told.find("forget volume data1") != std::string::npos);
  BOOST_TEST(kind_of([&] { devices->look(moved); }) == "not_ours");
}

BOOST_AUTO_TEST_CASE(a_drive_that_is_damaged_past_telling_is_refused_where_the_volume_was_last) {
  for (const int copy : {0, 16384}) {
    overwrite(device, copy + 64, 6);
    overwrite(device, copy + 168, 40);            // UUID
    overwrite(device, copy + 4096, 4096 + 8192);  // metadata
  }
  BOOST_TEST(create_on(device) == "device_not_blank");
  BOOST_TEST(told.find("volume data1") != std::string::npos);
  check_restored(device);
}

BOOST_AUTO_TEST_CASE(zeros_where_a_missed_volume_was_last_are_no_blank_drive) {
  make_blank(device);
  BOOST_TEST(create_on(device) == "device_not_blank");
  BOOST_TEST(told.find("header restore data1 --device " + device) != std::string::npos);
  BOOST_TEST(told.find("forget volume data1") != std::string::npos);
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "device_all_zero");
  BOOST_TEST(node->await(node->store.list("intent/")).empty());
  check_restored(device);
}

BOOST_AUTO_TEST_CASE(zeros_elsewhere_or_of_another_size_or_of_a_volume_that_is_here_are_blank) {
  BOOST_TEST(create_on(drive("vdc")) == "none");
  node->await(node->volumes.erase("data2"));
  const std::string moved = directory.path("vdd");
  std::filesystem::copy_file(device, moved);
  make_blank(device);
  devices->plug(moved);
  BOOST_TEST(create_on(device) == "none");  // data1 stands on another drive now
  node->await(node->volumes.erase("data2"));
  devices->unplug(moved);
  make_blank(device, 8 << 20);
  BOOST_TEST(create_on(device) == "none");
}

BOOST_AUTO_TEST_CASE(after_the_volume_was_forgotten_or_deleted_its_place_is_blank) {
  node->await(node->volumes.erase("data1"));
  BOOST_TEST(create_on(device) == "none");
  node->await(node->volumes.detach("data2"));
  make_blank(device);
  BOOST_TEST(kind_of([&] { node->create("data3", device); }) == "device_not_blank");
  node->await(node->volumes.forget("data2"));
  BOOST_TEST(kind_of([&] { node->create("data3", device); }) == "none");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
