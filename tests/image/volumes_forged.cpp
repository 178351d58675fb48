// Drives with forged headers and drives of others: every look, attach, list, backup and rewrap leaves the whole drive
// as it is, byte for byte, also where one header copy is damaged and could be "repaired". FAILURES.md section F
// (CVE-2021-4122, sdbootutil#195), section C.
#include <boost/json.hpp>
#include <boost/test/data/test_case.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "dmtarget/header_copies.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

namespace json = boost::json;
using test::Copy;
using test::kind_of;

namespace {

struct Victim : test::NodeFixture {
  std::string device = drive("vdb");
  Bytes of_generation_1;  // the header before it was rewrapped and generation 1 was retired
  std::set<std::string> refusals;

  // A volume that is down, in a cluster that has retired a generation.
  Victim() {
    node->create("data1", device);
    node->await(node->volumes.detach("data1"));
    of_generation_1 = test::content_of(device, dm::header_area_size);
    node->make_current(2);
    node->await(node->volumes.rewrap_all(2));
    node->forget(1);
    node->make_current(3);  // so that whoever can will write a header now
    BOOST_REQUIRE_EQUAL(header_generation(device), 2U);
    BOOST_REQUIRE_EQUAL(devices->mapped(), 0U);
  }

  template <class Call>
  void attempt(Call call) {
    refusals.insert(kind_of(call));
  }
  // Whatever looks at drives or may write to one without being told to format, erase or restore.
  void try_everything() {
    VolumeService& volumes = node->volumes;
    attempt([&] { (void)devices->look(device); });
    attempt([&] { node->await(volumes.attach_device(device)); });
    attempt([&] { node->await(volumes.attach_from("data1", device)); });
    attempt([&] { node->await(volumes.attach("data1")); });
    attempt([&] { node->await(volumes.list()); });
    attempt([&] { node->await(volumes.header_backup("data1")); });
    attempt([&] { node->await(volumes.census()); });
    attempt([&] { node->await(volumes.rewrap_all(3)); });
    attempt([&] { node->await(volumes.drive_appeared(devices->facts(device))); });
    attempt([&] { node->await(volumes.attach_missing()); });
    restart();
    attempt([&] { node->await(node->volumes.start()); });
  }
  void check_untouched(const std::string& refusal) {
    const Bytes before = test::content_of(device);
    try_everything();
    BOOST_TEST((test::content_of(device) == before));
    BOOST_TEST(devices->mapped() == 0U);
    BOOST_TEST(refusals.contains(refusal), refusal);
  }
};

struct Forgery {
  const char* name;
  const char* refusal;
  std::function<void(Victim&)> make;
};
std::ostream& operator<<(std::ostream& out, const Forgery& forgery) { return out << forgery.name; }

std::function<void(Victim&)> edited(std::function<void(json::object&)> edit) {
  return [edit](Victim& victim) { test::edit_metadata(victim.device, edit); };
}

json::object& only(json::object& metadata, const char* what) { return metadata[what].as_object()["0"].as_object(); }
json::object& token(json::object& metadata) { return only(metadata, "tokens"); }
json::object& described(json::object& metadata) { return token(metadata)["description"].as_object(); }

void put_token_of(Victim& victim, const std::string& other) {
  const json::object foreign = test::metadata_of(other)["tokens"].as_object()["0"].as_object();
  test::edit_metadata(victim.device, [&](json::object& m) { token(m) = foreign; });
}

const Forgery forgeries[] = {
    {"cipher changed", "header_changed",
     edited([](json::object& m) { only(m, "segments")["encryption"] = "aes-cbc-essiv:sha256"; })},
    {"offset changed", "header_changed", edited([](json::object& m) { only(m, "segments")["offset"] = "3145728"; })},
    {"offset changed in header and description", "wrong_key",
     edited([](json::object& m) { only(m, "segments")["offset"] = described(m)["data_offset"] = "3145728"; })},
    {"sector size changed", "header_changed",
     edited([](json::object& m) { only(m, "segments")["sector_size"] = 512; })},
    {"sector size changed in header and description", "wrong_key",
     edited([](json::object& m) { only(m, "segments")["sector_size"] = described(m)["sector_size"] = 512; })},
    {"re-encryption flag set", "header_changed", edited([](json::object& m) {
       m["config"].as_object()["requirements"] = json::object{{"mandatory", json::array{"online-reencrypt-v2"}}};
     })},
    {"discards allowed", "wrong_key", edited([](json::object& m) { described(m)["discards"] = "passed_down"; })},
    {"UUID changed", "header_changed",
     [](Victim& victim) {
       test::edit_field(victim.device, test::Field::uuid, "11111111-2222-4333-8444-555555555555");
     }},
    {"token of another volume", "header_changed",
     [](Victim& victim) {
       const std::string other = victim.drive("vdc");
       victim.node->create("data2", other);
       put_token_of(victim, other);
       victim.node->await(victim.node->volumes.erase("data2"));
       victim.devices->unplug(other);
     }},
    {"token of another cluster", "header_changed",
     [](Victim& victim) {
       test::NodeFixture stranger;
       const std::string other = stranger.drive("vdb");
       stranger.node->create("data1", other);
       put_token_of(victim, other);
     }},
    {"token that names another cluster", "wrong_cluster",
     edited([](json::object& m) { token(m)["cluster"] = "11111111-2222-4333-8444-555555555555"; })},
    {"header of a retired generation replayed", "wrong_generation",
     [](Victim& victim) { test::overwrite(victim.device, 0, victim.of_generation_1); }},
    {"header of a retired generation under a held one's number", "wrong_key",
     [](Victim& victim) {
       test::overwrite(victim.device, 0, victim.of_generation_1);
       test::edit_metadata(victim.device, [](json::object& m) { token(m)["generation"] = "2"; });
     }},
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_forged, Victim)

BOOST_DATA_TEST_CASE_F(Victim, a_forged_header_is_refused_and_the_drive_stays_as_it_is,
                       boost::unit_test::data::make(forgeries)) {
  sample.make(*this);
  check_untouched(sample.refusal);
}

BOOST_DATA_TEST_CASE_F(Victim, a_forged_header_with_one_damaged_copy_is_not_repaired,
                       boost::unit_test::data::make(forgeries)) {
  sample.make(*this);
  test::damage_copy(device, Copy::secondary);
  check_untouched(sample.refusal);
}

// The true copy beside it is what `header restore`, or an administrator with tools, can still use.
BOOST_DATA_TEST_CASE_F(Victim, a_newer_forged_copy_is_not_written_over_the_true_one,
                       boost::unit_test::data::make(forgeries)) {
  const Bytes good = test::content_of(device, dm::header_area_size);
  sample.make(*this);
  test::make_newest(device, Copy::primary);
  test::overwrite(device, dm::header_copy_size, ByteView(good).subspan(dm::header_copy_size));
  check_untouched(sample.refusal);
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.attach("data1")).volume.condition == Condition::attached));
}

// Or the tests above would pass for a wrong reason.
BOOST_AUTO_TEST_CASE(the_same_attempts_attach_and_rewrap_and_repair_an_honest_drive) {
  test::damage_copy(device, Copy::secondary);
  try_everything();
  BOOST_TEST(devices->mapped() == 1U);
  BOOST_TEST(header_generation(device) == 3U);
  BOOST_TEST((devices->look(device).copies == dm::HeaderFacts::Copies::both_good));
  BOOST_TEST((refusals == std::set<std::string>{"none"}));
}

BOOST_AUTO_TEST_CASE(a_drive_of_another_cluster_with_one_damaged_copy_stays_as_it_is) {
  test::NodeFixture stranger;
  const std::string theirs = stranger.drive("vdb");
  stranger.node->create("data1", theirs);
  for (const Copy copy : {Copy::primary, Copy::secondary}) {
    std::filesystem::copy_file(theirs, device, std::filesystem::copy_options::overwrite_existing);
    test::damage_copy(device, copy);
    check_untouched("wrong_cluster");
  }
}

BOOST_AUTO_TEST_CASE(a_foreign_luks_drive_a_blank_one_and_a_damaged_header_stay_as_they_are) {
  const Bytes ours = test::content_of(device);
  test::damage_copy(device, Copy::primary);
  test::damage_copy(device, Copy::secondary);
  check_untouched("header_damaged");

  test::overwrite(device, 0, Bytes(ours.size()));
  check_untouched("device_all_zero");

  const std::string format =
      "echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
      "luksFormat --disable-locks --type luks2 --luks2-keyslots-size 256k --offset 4096 " +
      device + " >/dev/null 2>&1";
  BOOST_REQUIRE_EQUAL(std::system(format.c_str()), 0);
  check_untouched("not_ours");
  test::damage_copy(device, Copy::secondary);
  check_untouched("not_ours");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
