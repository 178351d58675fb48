// One damaged header copy: looks leave it, the attach that proved the other one repairs it and tells so, once. What
// cannot be repaired is told, too, and attaches all the same.
#include "dmtarget/header_copies.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::Copy;
using test::kind_of;
using Copies = dm::HeaderFacts::Copies;

namespace {

struct OneCopy : test::NodeFixture {
  std::string device = drive("vdb");
  test::Listening log{directory.path("log")};

  OneCopy() {
    node->create("data1", device);
    node->await(node->volumes.detach("data1"));
  }
  Copies copies() { return devices->look(device).copies; }
  dm::Changed attach() { return node->await(node->volumes.attach("data1")).changed; }
  std::size_t told(const std::string& what) { return log.lines(what).size(); }
};

const std::string repaired = "repaired from the other", unrepaired = "cannot be repaired";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_repair, OneCopy)

BOOST_AUTO_TEST_CASE(a_damaged_copy_is_repaired_and_told_by_the_attach_and_by_no_look_before) {
  for (const Copy copy : {Copy::primary, Copy::secondary}) {
    test::damage_copy(device, copy);
    const Bytes before = test::content_of(device);
    node->await(node->volumes.list());
    node->await(node->volumes.header_backup("data1"));
    node->await(node->volumes.census());
    BOOST_TEST((test::content_of(device) == before));
    const std::size_t lines = told(repaired);
    devices->after = [&](std::string_view call) {  // what is told is on the drive, and what is not there is not told
      if (call == "repair_header") BOOST_TEST(told(repaired) == lines);
    };
    BOOST_TEST((attach() == dm::Changed::yes));
    devices->after = nullptr;
    BOOST_TEST(told(repaired) == lines + 1);
    BOOST_TEST((copies() == Copies::both_good));
    node->await(node->volumes.detach("data1"));
    BOOST_TEST((attach() == dm::Changed::yes));
    node->await(node->volumes.detach("data1"));
    BOOST_TEST(told(repaired) == lines + 1);
  }
  BOOST_TEST(told(unrepaired) == 0U);
}

BOOST_AUTO_TEST_CASE(a_copy_that_cannot_be_repaired_is_told_once_and_the_volume_attaches) {
  test::damage_copy(device, Copy::primary);
  devices->before = [](std::string_view call) {
    if (call == "repair_header") throw Error(errno_code(EIO), {"write", "the drive", ""});
  };
  for (int round = 0; round < 2; ++round) {
    BOOST_TEST((attach() == dm::Changed::yes));
    node->await(node->volumes.detach("data1"));
  }
  BOOST_TEST(told(unrepaired) == 1U);
  BOOST_TEST(told(repaired) == 0U);
  devices->before = nullptr;
  BOOST_TEST((attach() == dm::Changed::yes));
  BOOST_TEST(told(repaired) == 1U);
}

BOOST_AUTO_TEST_CASE(a_copy_that_was_damaged_under_a_live_mapping_is_repaired_at_the_next_start) {
  attach();
  devices->hold("data1");
  test::damage_copy(device, Copy::secondary);
  restart();
  node->await(node->volumes.start());
  BOOST_TEST((copies() == Copies::both_good));
  BOOST_TEST(told(repaired) == 1U);
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_rotation_repairs_before_it_writes_and_is_refused_where_it_cannot) {
  test::damage_copy(device, Copy::secondary);
  node->make_current(2);
  devices->before = [](std::string_view call) {
    if (call == "repair_header") throw Error(errno_code(EIO), {"write", "the drive", ""});
  };
  const Bytes before = test::content_of(device);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).failures.size() == 1U);
  BOOST_TEST((test::content_of(device) == before));
  devices->before = nullptr;
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST((copies() == Copies::both_good));
  BOOST_TEST(header_generation(device) == 2U);
}

BOOST_AUTO_TEST_CASE(restore_repairs_a_header_that_opens_from_one_copy) {
  test::damage_copy(device, Copy::secondary);
  const auto restore = [&] { return node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed; };
  BOOST_TEST((restore() == dm::Changed::yes));
  BOOST_TEST((copies() == Copies::both_good));
  BOOST_TEST((restore() == dm::Changed::no));
}

BOOST_AUTO_TEST_CASE(restore_puts_back_a_header_that_looks_good_and_does_not_open) {
  const Bytes good = test::content_of(device, dm::header_area_size);
  test::edit_metadata(device, [](boost::json::object& metadata) {
    auto& token = metadata["tokens"].as_object()["0"].as_object();
    token["nonce"] = "AAAAAAAAAAAAAAAA";
  });
  BOOST_TEST(kind_of([&] { attach(); }) == "wrong_key");
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((test::content_of(device, dm::header_area_size) == good));
  BOOST_TEST((attach() == dm::Changed::yes));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
