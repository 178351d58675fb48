// Devices that carry no header of ours, each told apart from the others and none written to. FAILURES.md section C:
// longhorn#10416, #13668, #14042 (a device that vanished, read zeros, or failed was taken for empty), ignition#1545.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "dmtarget/error.hpp"
#include "dmtarget/luks.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volume_image.hpp"
#include "tests/support/with_errc.hpp"

namespace volcrypt::test {
namespace {

struct Drive {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  Drive() { make_blank_image(file); }

  void run(const std::string& command) const {
    std::string line = command + " >" + directory.path("log") + " 2>&1";
    BOOST_REQUIRE_EQUAL(std::system(line.c_str()), 0);
  }
};

void check_refused_unwritten(const std::string& file, errc refusal) {
  Bytes before = content_of(file);
  BOOST_CHECK_EXCEPTION(dm::LuksHeader::open(file), Error, with(refusal));
  BOOST_TEST((content_of(file) == before));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(foreign_devices)

BOOST_AUTO_TEST_CASE(a_device_that_reads_zeros_is_an_error_of_its_own) {
  Drive drive;
  check_refused_unwritten(drive.file, errc::device_all_zero);
}

BOOST_AUTO_TEST_CASE(a_header_area_of_zeros_before_data_is_not_taken_for_another_format) {
  VolumeImage image;
  overwrite(image.file, 0, Bytes(1 << 20));
  overwrite(image.file, 2 << 20, Bytes(4096, 0x5a));
  check_refused_unwritten(image.file, errc::device_all_zero);
}

BOOST_AUTO_TEST_CASE(a_missing_device_is_unreadable) {
  ScratchDirectory directory;
  BOOST_CHECK_EXCEPTION(dm::LuksHeader::open(directory.path("absent")), Error, with(errc::device_unreadable));
}

BOOST_AUTO_TEST_CASE(a_device_that_ends_within_the_header_is_unreadable) {
  for (std::uintmax_t size : {0, 1, 4096, 32767}) {
    VolumeImage image;
    std::filesystem::resize_file(image.file, size);
    check_refused_unwritten(image.file, errc::device_unreadable);
  }
}

BOOST_AUTO_TEST_CASE(a_device_that_ends_before_the_data_is_refused) {
  for (std::uintmax_t size : {32768, 1 << 20, 2 << 20}) {
    VolumeImage image;
    std::filesystem::resize_file(image.file, size);
    check_refused_unwritten(image.file, errc::device_unreadable);
  }
}

BOOST_AUTO_TEST_CASE(a_directory_and_a_character_device_are_refused) {
  BOOST_CHECK_EXCEPTION(dm::LuksHeader::open("/tmp"), Error, with(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(dm::LuksHeader::open("/dev/zero"), Error, with(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(random_bytes_are_not_ours) {
  Drive drive;
  for (int round = 0; round < 20; ++round) {
    Secret noise = Secret::random(32768);
    overwrite(drive.file, 0, noise.view());
    check_refused_unwritten(drive.file, errc::not_ours);
  }
}

BOOST_AUTO_TEST_CASE(luks1_is_not_ours) {
  Drive drive;
  drive.run("echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf-force-iterations 1000 luksFormat --type luks1 " +
            drive.file);
  check_refused_unwritten(drive.file, errc::not_ours);
}

BOOST_AUTO_TEST_CASE(another_luks2_header_is_not_ours) {
  Drive drive;
  drive.run(
      "echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
      "--label volcrypt:data luksFormat --type luks2 " +
      drive.file);
  check_refused_unwritten(drive.file, errc::not_ours);
}

BOOST_AUTO_TEST_CASE(another_luks2_header_with_a_damaged_copy_is_not_repaired_by_us) {
  // libcryptsetup would: crypt_load repairs whatever it loads.
  Drive drive;
  drive.run(
      "echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
      "luksFormat --type luks2 " +
      drive.file);
  damage_copy(drive.file, Copy::secondary);
  check_refused_unwritten(drive.file, errc::not_ours);
  damage_copy(drive.file, Copy::primary);
  check_refused_unwritten(drive.file, errc::not_ours);
}

BOOST_AUTO_TEST_CASE(a_luks2_header_of_another_size_is_not_ours) {
  Drive drive;
  drive.run(
      "echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
      "--luks2-metadata-size 64k --subsystem volcrypt luksFormat --type luks2 " +
      drive.file);
  check_refused_unwritten(drive.file, errc::not_ours);
}

BOOST_AUTO_TEST_CASE(a_file_system_is_not_ours) {
  Drive drive;
  drive.run("/usr/sbin/mkfs.ext4 -F " + drive.file);
  check_refused_unwritten(drive.file, errc::not_ours);
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
