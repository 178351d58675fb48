// What is refused on a real kernel: drives and names in use, copies, forged and foreign headers. Nothing is written,
// and no mapping or key is left. Runs inside of a machine, as root (dmvolume_volume.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <functional>

#include "tests/vm/dmvolume_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using dm::Changed;
namespace json = boost::json;

namespace {

using Call = std::function<void()>;

// Refused; the drive has seen no write and no flush, and nothing is mapped by it. The error's text.
std::string refusal_unwritten(const std::string& device, errc cause, const Call& call) {
  const std::string writes = writes_to(device), mappings = output_of("dmsetup table --showkeys");
  std::string text = refusal(cause, call);
  BOOST_TEST(writes_to(device) == writes);
  BOOST_TEST(output_of("dmsetup table --showkeys") == mappings);
  BOOST_TEST(no_key_is_left(), keys_in_kernel());
  return text;
}

bool names(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

json::object& at(json::object& parent, const char* name) { return parent[name].as_object(); }
json::object& segment(json::object& metadata) { return at(at(metadata, "segments"), "0"); }
json::object& token(json::object& metadata) { return at(at(metadata, "tokens"), "0"); }

struct Forgery {
  const char* name;
  void (*edit)(json::object&);
};

const Forgery forgeries[] = {
    {"cipher", [](json::object& m) { segment(m)["encryption"] = "aes-cbc-essiv:sha256"; }},
    {"cipher in header and token",
     [](json::object& m) {
       segment(m)["encryption"] = at(token(m), "description")["cipher"] = "aes-cbc-essiv:sha256";
     }},
    {"data offset", [](json::object& m) { segment(m)["offset"] = "3145728"; }},
    {"sector size", [](json::object& m) { segment(m)["sector_size"] = 512; }},
    {"re-encryption",
     [](json::object& m) {
       at(m, "config")["requirements"] = json::object{{"mandatory", json::array{"online-reencrypt-v2"}}};
     }},
    {"persistent flags", [](json::object& m) { at(m, "config")["flags"] = json::array{"allow-discards"}; }},
    {"volume in the token", [](json::object& m) { token(m)["volume"] = "11111111-2222-4333-8444-555555555555"; }},
    {"name in the token", [](json::object& m) { token(m)["name"] = "other"; }},
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volume_refusals, Drives)

BOOST_AUTO_TEST_CASE(another_key_attaches_nothing) {
  const Volume volume("one");
  refusal_unwritten(volume.device, errc::wrong_key,
                    [&] { dm::attach(volume.device, volume.token, Secret::random(volume_key_size)); });
}

BOOST_AUTO_TEST_CASE(a_name_that_something_else_has_is_refused_and_that_is_left_alone) {
  const Volume volume("one");
  shell("dmsetup create data --table '0 8 zero'");
  refusal_unwritten(volume.device, errc::name_taken, [&] { volume.attach(); });
  refusal_unwritten(volume.device, errc::name_taken, [] { dm::detach("data"); });
  dm::remove_mapping("data");
  const Volume namesake("two");
  namesake.attach();
  refusal_unwritten(volume.device, errc::name_taken, [&] { volume.attach(); });
  BOOST_TEST((namesake.attach() == Changed::no));
}

BOOST_AUTO_TEST_CASE(a_half_made_mapping_of_the_volume_is_cleared_away_and_a_suspended_one_is_told) {
  const Volume volume("one");
  shell("dmsetup create data --notable --uuid " + dm::mapping_uuid(volume.token.volume, "data"));
  BOOST_TEST((volume.attach() == Changed::yes));
  dm::suspend("data");
  refusal_unwritten(volume.device, errc::wrong_state, [&] { volume.attach(); });
  dm::resume("data");
  BOOST_TEST((volume.attach() == Changed::no));
}

BOOST_AUTO_TEST_CASE(a_mounted_drive_is_refused_by_its_mount_point) {
  shell("mkfs.ext4 -q " + drive("one") + " && mount " + drive("one") + " /mnt");
  const auto create = [](dm::ExistingData existing) {
    dm::create(drive("one"), test::make_token(), Secret::random(volume_key_size), existing);
  };
  for (dm::ExistingData existing : {dm::ExistingData::refuse, dm::ExistingData::erase})
    BOOST_TEST(names(refusal(errc::device_busy, [&] { create(existing); }), "/mnt"));
  refusal(errc::device_busy, [] { dm::erase(drive("one"), Uuid::random()); });
  shell("umount /mnt");
  BOOST_TEST(names(refusal_unwritten(drive("one"), errc::device_not_blank, [&] { create(dm::ExistingData::refuse); }),
                   "ext4"));
  create(dm::ExistingData::erase);
}

BOOST_AUTO_TEST_CASE(a_drive_under_another_mapping_is_refused_by_every_verb_that_needs_it_whole) {
  const Volume volume("one");
  const Bytes backup = dm::backup_header(volume.device);
  shell("dmsetup create holder --table '0 16384 linear " + volume.device + " 0'");
  const Call verbs[] = {[&] { volume.attach(); }, [&] { dm::erase(volume.device, volume.token.volume); },
                        [&] { dm::restore_header(volume.device, backup, volume.token.volume); },
                        [&] { dm::check_formattable(volume.device, dm::ExistingData::erase); }};
  for (const Call& verb : verbs) refusal_unwritten(volume.device, errc::device_busy, verb);
  BOOST_TEST(names(refusal(errc::device_busy, [&] { volume.attach(); }), "holder"));
  dm::remove_mapping("holder");
  BOOST_TEST((volume.attach() == Changed::yes));
}

BOOST_AUTO_TEST_CASE(an_attached_volume_is_neither_erased_nor_restored_nor_formatted) {
  const Volume volume("one");
  Bytes backup = dm::backup_header(volume.device);
  volume.attach();
  const Call verbs[] = {[&] { dm::erase(volume.device, volume.token.volume); },
                        [&] { dm::restore_header(volume.device, backup, volume.token.volume); },
                        [&] { dm::check_formattable(volume.device, dm::ExistingData::erase); }};
  for (const Call& verb : verbs) refusal_unwritten(volume.device, errc::device_busy, verb);
  BOOST_TEST((volume.attach() == Changed::no));
}

BOOST_AUTO_TEST_CASE(a_copy_of_an_attached_drive_is_refused) {
  const Volume volume("one");
  put(drive("two"), 0, get(volume.device, 0, dm::header_area_size));
  volume.attach();
  refusal_unwritten(drive("two"), errc::duplicate_volume, [&] { dm::attach(drive("two"), volume.token, volume.key); });
  BOOST_TEST((volume.attach() == Changed::no));
  dm::rename("data", "elsewhere");
  for (const std::string& device : {drive("two"), volume.device})
    refusal_unwritten(device, errc::duplicate_volume, [&] { dm::attach(device, volume.token, volume.key); });
}

BOOST_AUTO_TEST_CASE(a_forged_header_is_refused_on_a_live_drive_and_nothing_is_written) {
  const Volume volume("one");
  const Bytes good = get(volume.device, 0, dm::header_area_size);
  for (const Forgery& forgery : forgeries) {
    BOOST_TEST_CONTEXT(forgery.name) {
      forge(volume.device, [&](const std::string& file) { test::edit_metadata(file, forgery.edit); });
      const dm::Token next = test::rewrapped(volume.token);
      refusal_unwritten(volume.device, errc::header_changed, [&] {
        refusal(errc::header_changed, [&] { dm::rewrap(volume.device, next); });
        refusal(errc::header_changed, [&] { dm::backup_header(volume.device); });
        volume.attach();
      });
      put(volume.device, 0, good);
    }
  }
  forge(volume.device, [](const std::string& file) { test::edit_metadata(file, [](json::object&) {}); });
  BOOST_TEST((volume.attach() == Changed::yes));  // it was the edits
}

BOOST_AUTO_TEST_CASE(a_forged_copy_beside_a_damaged_one_is_not_repaired) {
  const Volume volume("one");
  forge(volume.device, [](const std::string& file) {
    test::edit_metadata(file, [](json::object& m) { segment(m)["offset"] = "3145728"; });
    test::damage_copy(file, test::Copy::secondary);
  });
  refusal_unwritten(volume.device, errc::header_changed, [&] { volume.attach(); });
}

BOOST_AUTO_TEST_CASE(a_header_with_another_token_than_the_one_that_was_proved_is_not_mapped) {
  const Volume volume("one");
  refusal_unwritten(volume.device, errc::header_changed,
                    [&] { dm::attach(volume.device, test::rewrapped(volume.token), volume.key); });
  BOOST_TEST((volume.attach() == Changed::yes));
}

BOOST_AUTO_TEST_CASE(blank_and_foreign_drives_are_told_apart_and_left_alone) {
  const Secret key = Secret::random(volume_key_size);
  const auto attach = [&] { dm::attach(drive("two"), test::make_token("data"), key); };
  refusal_unwritten(drive("two"), errc::device_all_zero, attach);
  const std::string luks =
      "echo secret | cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 luksFormat ";
  for (const char* type : {"--type luks2 --label volcrypt:data ", "--type luks1 "}) {
    shell(luks + type + drive("two"));
    refusal_unwritten(drive("two"), errc::not_ours, attach);
    refusal_unwritten(drive("two"), errc::device_not_blank,
                      [] { dm::check_formattable(drive("two"), dm::ExistingData::refuse); });
    refusal_unwritten(drive("two"), errc::not_ours, [] { dm::erase(drive("two"), Uuid::random()); });
    shell("blkdiscard -f " + drive("two"));
  }
  shell("mkfs.ext4 -q " + drive("two"));
  refusal_unwritten(drive("two"), errc::not_ours, attach);
}

BOOST_AUTO_TEST_SUITE_END()
