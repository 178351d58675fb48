// What must not be formatted, on plain files; mounted and mapped devices are in the vm tier. FAILURES.md section C.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "dmtarget/error.hpp"
#include "dmtarget/volume.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volume_image.hpp"
#include "tests/support/with_errc.hpp"

namespace volcrypt::test {
namespace {

using dm::ExistingData;

struct Drive {
  ScratchDirectory directory;
  std::string file = directory.path("drive.img");
  Drive() { make_blank_image(file, 24 << 20); }

  void run(const std::string& command) const {
    std::string line = command + " " + file + " >" + directory.path("log") + " 2>&1";
    BOOST_REQUIRE_EQUAL(std::system(line.c_str()), 0);
  }
};

void check_refused(const std::string& file, ExistingData existing, errc refusal, const std::string& mention = "") {
  Bytes before = content_of(file);
  BOOST_CHECK_EXCEPTION(dm::check_formattable(file, existing), Error, [&](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == refusal && std::string(error.what()).find(mention) != std::string::npos;
  });
  BOOST_CHECK_THROW(dm::create(file, make_token(), Secret::random(volume_key_size), existing), Error);
  BOOST_TEST((content_of(file) == before));
}

// Refused, and formatted only when told to erase.
void check_needs_erase(const Drive& drive, const std::string& mention) {
  check_refused(drive.file, ExistingData::refuse, errc::device_not_blank, mention);
  BOOST_CHECK_NO_THROW(dm::check_formattable(drive.file, ExistingData::erase));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(formattable)

BOOST_AUTO_TEST_CASE(a_blank_file_is_formattable_and_looking_writes_nothing) {
  Drive drive;
  Bytes before = content_of(drive.file);
  BOOST_CHECK_NO_THROW(dm::check_formattable(drive.file, ExistingData::refuse));
  BOOST_TEST((content_of(drive.file) == before));
}

BOOST_AUTO_TEST_CASE(a_file_system_is_refused_by_name) {
  Drive drive;
  drive.run("/usr/sbin/mkfs.ext4 -q -F");
  check_needs_erase(drive, "ext4");
}

BOOST_AUTO_TEST_CASE(swap_is_refused_by_name) {
  Drive drive;
  drive.run("/usr/sbin/mkswap");
  check_needs_erase(drive, "swap");
}

BOOST_AUTO_TEST_CASE(a_partition_table_is_refused_by_name) {
  Drive drive;
  std::uint8_t record[512] = {};  // one Linux partition from sector 2048 on, 16384 sectors
  record[446 + 4] = 0x83;
  record[446 + 9] = 0x08;
  record[446 + 13] = 0x40;
  record[510] = 0x55;
  record[511] = 0xaa;
  overwrite(drive.file, 0, record);
  check_needs_erase(drive, "dos");
}

BOOST_AUTO_TEST_CASE(luks_of_another_owner_is_refused_by_name) {
  for (const char* type : {"luks1", "luks2"}) {
    Drive drive;
    drive.run(std::string("echo secret | /usr/sbin/cryptsetup --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations "
                          "1000 luksFormat --type ") +
              type);
    check_needs_erase(drive, "crypto_LUKS");
  }
}

BOOST_AUTO_TEST_CASE(a_single_byte_at_either_end_is_data) {
  for (std::uint64_t offset : {0, 4711, (1 << 20) - 1, (23 << 20), (24 << 20) - 1}) {
    Drive drive;
    const std::uint8_t byte = 1;
    overwrite(drive.file, offset, ByteView(&byte, 1));
    check_needs_erase(drive, "not blank");
  }
}

BOOST_AUTO_TEST_CASE(a_volume_of_ours_is_refused_even_when_told_to_erase) {
  VolumeImage image;
  for (ExistingData existing : {ExistingData::refuse, ExistingData::erase})
    check_refused(image.file, existing, errc::device_not_blank, image.token.volume.str());
  damage_copy(image.file, Copy::primary);  // the other copy still opens it
  check_refused(image.file, ExistingData::erase, errc::device_not_blank, image.token.volume.str());
}

BOOST_AUTO_TEST_CASE(a_volume_of_ours_with_both_copies_damaged_is_refused_even_when_told_to_erase) {
  VolumeImage image;
  damage_copy(image.file, Copy::primary);
  damage_copy(image.file, Copy::secondary);
  for (ExistingData existing : {ExistingData::refuse, ExistingData::erase})
    check_refused(image.file, existing, errc::header_damaged, "header restore");
}

BOOST_AUTO_TEST_CASE(a_volume_that_was_erased_is_formattable_again) {
  VolumeImage image;
  dm::erase(image.file, image.token.volume);
  BOOST_CHECK_NO_THROW(dm::check_formattable(image.file, ExistingData::refuse));
}

BOOST_AUTO_TEST_CASE(missing_and_tiny_devices_are_refused) {
  ScratchDirectory directory;
  BOOST_CHECK_EXCEPTION(dm::check_formattable(directory.path("absent"), ExistingData::erase), Error,
                        with(errc::device_unreadable));
  std::string tiny = directory.path("tiny");
  make_blank_image(tiny, 1 << 20);
  BOOST_CHECK_EXCEPTION(dm::check_formattable(tiny, ExistingData::erase), Error, with(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_device_is_described_by_its_size) {
  Drive drive;
  dm::Description description = dm::describe_device(drive.file, dm::Discards::passed_down);
  BOOST_TEST(description.sector_size == 4096u);
  BOOST_TEST((description.discards == dm::Discards::passed_down));
  BOOST_TEST((description.workqueues == dm::Workqueues::used));
  std::filesystem::resize_file(drive.file, (24 << 20) + 512);
  BOOST_TEST(dm::describe_device(drive.file, dm::Discards::refused).sector_size == 512u);
  std::filesystem::resize_file(drive.file, (24 << 20) + 100);
  BOOST_CHECK_EXCEPTION(dm::describe_device(drive.file, dm::Discards::refused), Error, with(errc::invalid_argument));
  std::filesystem::resize_file(drive.file, 16 << 20);
  BOOST_CHECK_EXCEPTION(dm::describe_device(drive.file, dm::Discards::refused), Error, with(errc::invalid_argument));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
