// create, rewrap, erase, header backup and restore on plain files: what they do, and what they refuse.
#define BOOST_TEST_DYN_LINK
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "dmtarget/volume.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volume_image.hpp"
#include "tests/support/with_errc.hpp"

namespace volcrypt::test {
namespace {

using dm::Changed;
using dm::ExistingData;
using dm::LuksHeader;

void check_opens(const std::string& file, const dm::Token& token, const Secret& key) {
  LuksHeader header = LuksHeader::open(file);
  header.check_description();
  header.verify_volume_key(key);
  BOOST_TEST((header.token() == token));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_verbs)

BOOST_AUTO_TEST_CASE(create_makes_a_volume_that_opens) {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  make_blank_image(file);
  dm::Token token = make_token();
  Secret key = Secret::random(volume_key_size);
  dm::create(file, token, key, ExistingData::refuse);
  check_opens(file, token, key);
  BOOST_CHECK_EXCEPTION(dm::create(file, token, key, ExistingData::erase), Error, with(errc::device_not_blank));
  check_opens(file, token, key);
}

BOOST_AUTO_TEST_CASE(create_over_data_works_only_when_told_to_erase) {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  make_blank_image(file);
  overwrite(file, 0, Bytes(image_size, 0x77));
  dm::Token token = make_token();
  Secret key = Secret::random(volume_key_size);
  BOOST_CHECK_EXCEPTION(dm::create(file, token, key, ExistingData::refuse), Error, with(errc::device_not_blank));
  dm::create(file, token, key, ExistingData::erase);
  check_opens(file, token, key);
}

BOOST_AUTO_TEST_CASE(a_description_that_does_not_suit_the_device_is_refused_before_any_write) {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  make_blank_image(file);
  for (auto spoil :
       {+[](dm::Description& d) { d.data_offset = 64 << 20; }, +[](dm::Description& d) { d.data_offset = 12345; },
        +[](dm::Description& d) { d.cipher = "aes-cbc-essiv:sha256"; }, +[](dm::Description& d) { d.key_bytes = 32; },
        +[](dm::Description& d) { d.reencrypting = true; }}) {
    dm::Token token = make_token();
    spoil(token.description);
    BOOST_CHECK_EXCEPTION(dm::create(file, token, Secret::random(volume_key_size), ExistingData::refuse), Error,
                          with(errc::invalid_argument));
    BOOST_TEST((content_of(file) == Bytes(image_size)));
  }
}

BOOST_AUTO_TEST_CASE(rewrap_is_idempotent_and_says_whether_it_changed_anything) {
  VolumeImage image;
  dm::Token next = rewrapped(image.token);
  BOOST_TEST((dm::rewrap(image.file, image.token) == Changed::no));
  BOOST_TEST((dm::rewrap(image.file, next) == Changed::yes));
  Bytes after = content_of(image.file);
  BOOST_TEST((dm::rewrap(image.file, next) == Changed::no));
  BOOST_TEST((content_of(image.file) == after));
  check_opens(image.file, next, image.key);
}

BOOST_AUTO_TEST_CASE(rewrap_refuses_another_identity_and_an_older_generation) {
  VolumeImage image;
  BOOST_REQUIRE((dm::rewrap(image.file, rewrapped(image.token)) == Changed::yes));
  Bytes before = content_of(image.file);
  dm::Token older = image.token;
  BOOST_CHECK_EXCEPTION(dm::rewrap(image.file, older), Error, with(errc::wrong_generation));
  for (auto spoil : {+[](dm::Token& t) { t.cluster = Uuid::random(); }, +[](dm::Token& t) { t.group = Uuid::random(); },
                     +[](dm::Token& t) { t.volume = Uuid::random(); }, +[](dm::Token& t) { t.name = "other"; },
                     +[](dm::Token& t) { t.description.discards = dm::Discards::passed_down; }}) {
    dm::Token other = rewrapped(rewrapped(image.token));
    spoil(other);
    BOOST_CHECK_EXCEPTION(dm::rewrap(image.file, other), Error, with(errc::invalid_argument));
  }
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(a_rewrap_is_taken_back_to_the_very_token_of_before_and_only_once) {
  VolumeImage image;
  const dm::Rewrap change{image.token, rewrapped(image.token)};
  BOOST_TEST((dm::take_back(image.file, change) == Changed::no));
  BOOST_REQUIRE((dm::rewrap(image.file, change.after) == Changed::yes));
  BOOST_TEST((dm::take_back(image.file, change) == Changed::yes));
  check_opens(image.file, image.token, image.key);
  BOOST_TEST((dm::take_back(image.file, change) == Changed::no));
  BOOST_TEST((dm::rewrap(image.file, change.after) == Changed::yes));
}

BOOST_AUTO_TEST_CASE(taking_back_a_rewrap_refuses_any_other_token_on_the_drive_and_another_identity) {
  VolumeImage image;
  const dm::Rewrap change{image.token, rewrapped(image.token)};
  const dm::Token newer = rewrapped(change.after);
  BOOST_REQUIRE((dm::rewrap(image.file, newer) == Changed::yes));
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(dm::take_back(image.file, change), Error, with(errc::header_changed));
  dm::Rewrap similar{image.token, newer};  // the drive's own generation, another wrap
  similar.after.nonce[0] ^= 1;
  BOOST_CHECK_EXCEPTION(dm::take_back(image.file, similar), Error, with(errc::header_changed));
  dm::Rewrap renamed{image.token, newer};
  renamed.before.name = "other";
  BOOST_CHECK_EXCEPTION(dm::take_back(image.file, renamed), Error, with(errc::invalid_argument));
  dm::Rewrap foreign{image.token, newer};
  foreign.before.volume = Uuid::random();
  BOOST_CHECK_EXCEPTION(dm::take_back(image.file, foreign), Error, with(errc::invalid_argument));
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(erase_leaves_no_header_and_refuses_the_wrong_volume) {
  VolumeImage image;
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(dm::erase(image.file, Uuid::random()), Error, with(errc::no_such_volume));
  BOOST_TEST((content_of(image.file) == before));
  dm::erase(image.file, image.token.volume);
  BOOST_TEST((content_of(image.file, 2 << 20) == Bytes(2 << 20)));
  BOOST_CHECK_EXCEPTION(dm::erase(image.file, image.token.volume), Error, with(errc::device_all_zero));
}

BOOST_AUTO_TEST_CASE(erase_finishes_what_a_crash_or_damage_left) {
  VolumeImage image;
  damage_copy(image.file, Copy::primary);
  damage_copy(image.file, Copy::secondary);
  dm::erase(image.file, image.token.volume);
  BOOST_TEST((content_of(image.file, 32768) == Bytes(32768)));
}

BOOST_AUTO_TEST_CASE(erase_refuses_what_is_not_ours) {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  make_blank_image(file);
  BOOST_CHECK_EXCEPTION(dm::erase(file, Uuid::random()), Error, with(errc::device_all_zero));
  overwrite(file, 0, Bytes(65536, 0x33));
  Bytes before = content_of(file);
  BOOST_CHECK_EXCEPTION(dm::erase(file, Uuid::random()), Error, with(errc::not_ours));
  BOOST_TEST((content_of(file) == before));
}

BOOST_AUTO_TEST_CASE(restore_brings_a_damaged_header_back) {
  VolumeImage image;
  Bytes backup = dm::backup_header(image.file);
  BOOST_TEST(backup.size() == 32768u);
  damage_copy(image.file, Copy::primary);
  damage_copy(image.file, Copy::secondary);
  BOOST_CHECK_EXCEPTION(LuksHeader::open(image.file), Error, with(errc::header_damaged));
  dm::restore_header(image.file, backup, image.token.volume);
  check_opens(image.file, image.token, image.key);
}

BOOST_AUTO_TEST_CASE(restore_brings_a_zeroed_header_back) {
  VolumeImage image;
  Bytes backup = dm::backup_header(image.file);
  overwrite(image.file, 0, Bytes(1 << 20));
  dm::restore_header(image.file, backup, image.token.volume);
  check_opens(image.file, image.token, image.key);
}

BOOST_AUTO_TEST_CASE(a_backup_holds_no_key) {
  VolumeImage image;
  Bytes backup = dm::backup_header(image.file);
  for (std::size_t at = 0; at + 16 <= image.key.size(); at += 16) {
    const std::uint8_t* part = image.key.data() + at;
    BOOST_TEST((std::search(backup.begin(), backup.end(), part, part + 16) == backup.end()));
  }
}

BOOST_AUTO_TEST_CASE(restore_refuses_a_backup_that_is_not_whole_or_of_another_volume) {
  VolumeImage image, other;
  Bytes before = content_of(image.file);
  Bytes backup = dm::backup_header(image.file);
  auto check_refused = [&](const Bytes& bytes, errc refusal) {
    BOOST_CHECK_EXCEPTION(dm::restore_header(image.file, bytes, image.token.volume), Error, with(refusal));
  };
  check_refused(Bytes(backup.begin(), backup.end() - 1), errc::invalid_argument);
  check_refused({}, errc::invalid_argument);
  Bytes spoilt = backup;
  spoilt[5000] ^= 1;
  check_refused(spoilt, errc::header_damaged);
  check_refused(Bytes(32768), errc::header_damaged);
  check_refused(dm::backup_header(other.file), errc::no_such_volume);
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(restore_refuses_a_forged_backup) {
  VolumeImage image;
  Bytes before = content_of(image.file);
  ScratchDirectory directory;
  std::string copy = directory.path("copy.img");
  make_blank_image(copy);
  overwrite(copy, 0, before);
  edit_metadata(copy, [](boost::json::object& metadata) {
    metadata["config"].as_object()["flags"] = boost::json::array{"allow-discards"};
  });
  BOOST_CHECK_EXCEPTION(dm::restore_header(image.file, content_of(copy, 32768), image.token.volume), Error,
                        with(errc::header_changed));
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(restore_refuses_a_drive_with_a_good_header_of_another_volume) {
  VolumeImage image, other;
  Bytes before = content_of(other.file);
  BOOST_CHECK_EXCEPTION(dm::restore_header(other.file, dm::backup_header(image.file), image.token.volume), Error,
                        with(errc::device_not_blank));
  BOOST_TEST((content_of(other.file) == before));
}

BOOST_AUTO_TEST_CASE(restore_refuses_a_drive_that_carries_another_format) {
  VolumeImage image;
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  make_blank_image(file);
  BOOST_REQUIRE_EQUAL(std::system(("/usr/sbin/mkfs.ext4 -q -F " + file + " >/dev/null 2>&1").c_str()), 0);
  Bytes before = content_of(file);
  BOOST_CHECK_EXCEPTION(dm::restore_header(file, dm::backup_header(image.file), image.token.volume), Error,
                        with(errc::device_not_blank));
  BOOST_TEST((content_of(file) == before));
}

BOOST_AUTO_TEST_CASE(attach_of_a_plain_file_is_refused) {
  VolumeImage image;
  BOOST_CHECK_EXCEPTION(dm::attach(image.file, image.token, image.key), Error, with(errc::invalid_argument));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
