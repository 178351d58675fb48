// Damage to one header copy is told by a look and repaired behind a proof; damage to both is an error of its own.
// FAILURES.md sections A and C.
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

using dm::HeaderFacts;
using dm::LuksHeader;
using Copies = HeaderFacts::Copies;

void check_told_and_unwritten(const VolumeImage& image, const dm::Token& token) {
  const Bytes before = content_of(image.file);
  LuksHeader header = LuksHeader::open(image.file);
  BOOST_TEST((header.facts().copies == Copies::one_damaged));
  BOOST_TEST((header.token() == token));
  header.check_description();
  header.verify_volume_key(image.key);
  BOOST_TEST((content_of(image.file) == before));
}

void check_repaired_once(const VolumeImage& image, const dm::Token& token) {
  check_told_and_unwritten(image, token);
  BOOST_TEST((dm::repair_header(image.file, token, image.key) == dm::Changed::yes));
  LuksHeader again = LuksHeader::open(image.file);
  BOOST_TEST((again.facts().copies == Copies::both_good));
  BOOST_TEST((again.token() == token));
  again.verify_volume_key(image.key);
  BOOST_TEST((dm::repair_header(image.file, token, image.key) == dm::Changed::no));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(header_copies)

BOOST_AUTO_TEST_CASE(one_damaged_copy_is_told_by_a_look_and_repaired_from_the_other) {
  for (Copy copy : {Copy::primary, Copy::secondary}) {
    VolumeImage image;
    damage_copy(image.file, copy);
    check_repaired_once(image, image.token);
  }
}

BOOST_AUTO_TEST_CASE(one_zeroed_copy_is_repaired_from_the_other) {
  for (std::uint64_t offset : {0, 16384}) {
    VolumeImage image;
    overwrite(image.file, offset, Bytes(16384));
    check_repaired_once(image, image.token);
  }
}

BOOST_AUTO_TEST_CASE(every_damaged_byte_of_the_binary_header_is_noticed) {
  VolumeImage image;
  Bytes good = content_of(image.file, 32768);
  for (std::size_t at = 0; at < 512; ++at) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    bool is_spare_checksum_byte = at >= 448 + 32;  // SHA-256 has 32 of the field's 64 bytes
    LuksHeader header = LuksHeader::from_bytes(bad, image_size, "damaged");
    BOOST_TEST((header.facts().copies == Copies::one_damaged) != is_spare_checksum_byte, "byte " << at);
    BOOST_TEST((header.token() == image.token));
  }
}

BOOST_AUTO_TEST_CASE(cryptsetup_accepts_the_repaired_copy) {
  VolumeImage image;
  damage_copy(image.file, Copy::primary);
  dm::repair_header(image.file, image.token, image.key);
  damage_copy(image.file, Copy::secondary);  // so that only the repaired one is left
  BOOST_TEST(std::system(("/usr/sbin/cryptsetup --disable-locks luksDump " + image.file + " >/dev/null").c_str()) == 0);
}

BOOST_AUTO_TEST_CASE(of_two_good_copies_the_newer_wins) {
  VolumeImage image;
  Bytes old = content_of(image.file, 32768);
  dm::Token next = rewrapped(image.token);
  LuksHeader::open(image.file).replace_token(next);
  for (std::uint64_t offset : {0, 16384}) {  // a crash after the first of the two copies was written
    overwrite(image.file, offset, ByteView(old).subspan(offset, 16384));
    check_repaired_once(image, next);
  }
}

// Only an editor makes these. libcryptsetup would take the second copy when it does not like the first one's metadata.
BOOST_AUTO_TEST_CASE(of_two_copies_that_differ_under_one_sequence_number_the_first_counts) {
  VolumeImage image;
  Bytes good = content_of(image.file, 32768);
  edit_metadata(image.file, [](boost::json::object& metadata) {
    metadata["tokens"].as_object()["0"].as_object()["generation"] = "2";
  });
  Bytes other = content_of(image.file, 32768);
  overwrite(image.file, 0, ByteView(good).first(16384));
  check_repaired_once(image, image.token);

  edit_metadata(image.file, [](boost::json::object& metadata) {  // a digest of a segment that is not there
    metadata["digests"].as_object()["0"].as_object()["segments"] = boost::json::array{"1"};
  });
  overwrite(image.file, 16384, ByteView(other).subspan(16384, 16384));
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(LuksHeader::open(image.file).check_description(), Error, with(errc::header_changed));
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(a_header_in_memory_opens_from_its_good_copy_and_is_neither_repaired_nor_changed) {
  VolumeImage image;
  damage_copy(image.file, Copy::secondary);
  Bytes bad = content_of(image.file, 32768);
  LuksHeader header = LuksHeader::from_bytes(bad, image_size, "a header in memory");
  BOOST_TEST((header.facts().copies == Copies::one_damaged));
  header.verify_volume_key(image.key);
  BOOST_CHECK_EXCEPTION(header.repair(), Error, with(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(header.replace_token(rewrapped(image.token)), Error, with(errc::header_damaged));
}

BOOST_AUTO_TEST_CASE(two_damaged_copies_are_a_damaged_header_and_nothing_is_written) {
  VolumeImage image;
  damage_copy(image.file, Copy::primary);
  damage_copy(image.file, Copy::secondary);
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(LuksHeader::open(image.file), Error, with(errc::header_damaged));
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_CASE(a_forged_copy_is_not_copied_over_a_damaged_one) {
  VolumeImage image;
  edit_metadata(image.file, [](boost::json::object& metadata) {
    metadata["segments"].as_object()["0"].as_object()["encryption"] = "aes-cbc-essiv:sha256";
  });
  damage_copy(image.file, Copy::secondary);
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(dm::repair_header(image.file, image.token, image.key), Error, with(errc::header_changed));
  BOOST_TEST((content_of(image.file) == before));
}

// A copy with a right checksum and a higher sequence number, whose token agrees with its header: only the key tells.
BOOST_AUTO_TEST_CASE(a_newer_forged_copy_is_not_copied_over_the_true_one) {
  VolumeImage image;
  Bytes good = content_of(image.file, 32768);
  const dm::Token forged = rewrapped(image.token);
  LuksHeader::open(image.file).replace_token(forged);
  overwrite(image.file, 16384, ByteView(good).subspan(16384, 16384));
  check_told_and_unwritten(image, forged);
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(dm::repair_header(image.file, image.token, image.key), Error, with(errc::header_changed));
  BOOST_CHECK_EXCEPTION(dm::repair_header(image.file, forged, Secret::random(volume_key_size)), Error,
                        with(errc::wrong_key));
  dm::backup_header(image.file);
  BOOST_TEST((content_of(image.file) == before));
  dm::restore_header(image.file, good, image.token.volume);
  BOOST_TEST((content_of(image.file, 32768) == good));
}

BOOST_AUTO_TEST_CASE(a_copy_overwritten_by_another_format_is_not_repaired) {
  VolumeImage image;
  overwrite(image.file, 0, Bytes(4096));
  const std::uint8_t swap_signature[] = {'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2'};
  const std::uint8_t swap_version_and_pages[] = {1, 0, 0, 0, 0, 1, 0, 0};
  overwrite(image.file, 4096 - sizeof swap_signature, swap_signature);
  overwrite(image.file, 1024, swap_version_and_pages);
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(LuksHeader::open(image.file), Error, with(errc::device_not_blank));
  BOOST_TEST((content_of(image.file) == before));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
