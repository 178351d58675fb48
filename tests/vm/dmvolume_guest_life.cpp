// The life of a volume on a real kernel: attached with its key in the keyring only, in use, detached, its drive pulled.
// Runs inside of a machine, as root (dmvolume_volume.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <keyutils.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <thread>

#include "dmtarget/table.hpp"
#include "tests/support/memory_search.hpp"
#include "tests/vm/dmvolume_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using dm::Changed;

namespace {

dm::CryptTarget expected_target(const Volume& volume) {
  dm::CryptTarget target;
  target.sectors =
      (dm::BlockFile(volume.device, dm::BlockFile::Access::read).size() - volume.token.description.data_offset) / 512;
  target.key.description = dm::keyring_description(volume.token.volume);
  target.device = word_in("/sys/class/block/" + kernel_name(volume.device) + "/dev");
  target.offset = volume.token.description.data_offset / 512;
  target.sector_size = volume.token.description.sector_size;
  target.discards = volume.token.description.discards;
  target.workqueues = volume.token.description.workqueues;
  return target;
}

void pull_from_inside(const std::string& device) {
  shell("echo 1 > /sys/class/block/" + kernel_name(device) + "/device/delete");
}

// The same key given to the kernel in hex, by nobody's code but dmsetup's.
void map_with_hex_key(const Volume& volume) {
  dm::CryptTarget target = expected_target(volume);
  shell("dmsetup create raw --table '0 " + std::to_string(target.sectors) + " crypt aes-xts-plain64 " +
        to_hex(volume.key.view()) + " 0 " + target.device + " " + std::to_string(target.offset) +
        " 1 sector_size:" + std::to_string(target.sector_size) + "'");
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volume_life, Drives)

BOOST_AUTO_TEST_CASE(the_search_for_keys_in_the_kernel_finds_a_key_that_is_there) {
  const Secret key = Secret::random(volume_key_size);
  const key_serial_t number =
      ::add_key("logon", "cryptsetup:control-d0", key.data(), key.size(), KEY_SPEC_SESSION_KEYRING);
  BOOST_REQUIRE(number >= 0);
  BOOST_TEST(keys_in_kernel().find("cryptsetup:control-d0") != std::string::npos);
  BOOST_REQUIRE(::keyctl_invalidate(number) == 0);
  BOOST_TEST(no_key_is_left());
}

BOOST_AUTO_TEST_CASE(an_attached_volume_refers_to_a_keyring_and_its_key_is_nowhere_to_be_seen) {
  const Volume volume("one");
  BOOST_TEST((volume.attach() == Changed::yes));
  BOOST_TEST(no_key_is_left(), keys_in_kernel());
  BOOST_TEST((dm::parse_crypt(dm::table_of("data")) == expected_target(volume)));
  const std::string shown = table("data");
  BOOST_TEST(shown.find(" :64:logon:cryptsetup:" + volume.token.volume.str() + "-d0 ") != std::string::npos, shown);
  BOOST_TEST(shown.find(to_hex(volume.key.view()).substr(0, 16)) == std::string::npos);
  BOOST_TEST(tests::Needle("key", volume.key.view()).find_in_own_memory(volume.key.view()).empty());
  BOOST_TEST((volume.attach() == Changed::no));
  const auto mapping = dm::find_mapping("data");
  BOOST_REQUIRE(mapping.has_value());
  BOOST_TEST(mapping->uuid == dm::mapping_uuid(volume.token.volume, "data"));
  BOOST_TEST(!mapping->is_leaving);
}

BOOST_AUTO_TEST_CASE(data_come_back_after_detach_and_attach_and_lie_on_the_drive_as_noise) {
  const Volume volume("one");
  volume.attach();
  put(volume.path(), 0, pattern(1));
  BOOST_TEST((dm::detach("data") == Changed::yes));
  BOOST_TEST((dm::detach("data") == Changed::no));
  BOOST_TEST(!node_exists("data"));
  BOOST_TEST(no_key_is_left(), keys_in_kernel());
  const Bytes on_drive = get(volume.device, test::image_data_offset);
  const Bytes plain = pattern(1);
  BOOST_TEST(!dm::mentions(on_drive, std::string(plain.begin(), plain.begin() + 64)));
  BOOST_TEST(!dm::all_zero(on_drive));
  BOOST_TEST((volume.attach() == Changed::yes));
  BOOST_TEST((get(volume.path(), 0) == plain));
}

BOOST_AUTO_TEST_CASE(a_volume_in_use_is_not_detached_and_says_why) {
  const Volume volume("one");
  volume.attach();
  {
    Fd user = open_mapping("data");
    BOOST_TEST(refusal(errc::device_busy, [] { dm::detach("data"); }).find("mounted or open") != std::string::npos);
    BOOST_TEST(!dm::find_mapping("data")->is_leaving);  // a refusal asks for nothing
  }
  shell("mkfs.ext4 -q /dev/mapper/data && mount /dev/mapper/data /mnt && echo word >/mnt/file");
  refusal(errc::device_busy, [] { dm::detach("data"); });
  BOOST_TEST(output_of("cat /mnt/file") == "word\n");
  shell("umount /mnt");
  BOOST_TEST((dm::detach("data") == Changed::yes));
}

// udev looks at a device whenever a writer has closed it; that look is not a user.
BOOST_AUTO_TEST_CASE(a_volume_is_detached_at_once_after_its_last_writer_left) {
  const Volume volume("one");
  for (int round = 0; round < 15; ++round) {
    volume.attach();
    put(volume.path(), 0, pattern(2));
    BOOST_TEST((dm::detach("data") == Changed::yes));
  }
}

// The kernel takes a mapping's name away before it lets go of the drive; when its last user leaves while it is being
// removed, that is some milliseconds before. The moments cover the pauses between two looks.
BOOST_AUTO_TEST_CASE(a_drive_is_free_when_the_removal_of_its_mapping_returns_whenever_the_last_user_leaves) {
  const Volume volume("one");
  for (int moment = 0; moment < 30; ++moment) {
    volume.attach();
    shell("udevadm settle");
    std::thread user([mapping = open_mapping("data"), moment]() mutable {
      std::this_thread::sleep_for(std::chrono::milliseconds(40 + 3 * moment));
      mapping = Fd();
    });
    const dm::Removal removal = dm::remove_mapping("data");
    const bool is_free = std::filesystem::is_empty("/sys/class/block/" + kernel_name(volume.device) + "/holders");
    user.join();
    BOOST_TEST((removal == dm::Removal::removed));
    BOOST_TEST(is_free, "after " << moment);
    BOOST_TEST(!dm::find_mapping("data"));
  }
}

BOOST_AUTO_TEST_CASE(a_mapping_that_goes_with_its_last_user_is_not_taken_for_an_attached_volume) {
  const Volume volume("one");
  volume.attach();
  {
    Fd user = open_mapping("data");
    BOOST_TEST((dm::remove_mapping("data") == dm::Removal::deferred));
    BOOST_TEST(dm::find_mapping("data")->is_leaving);
    BOOST_TEST(refusal(errc::device_busy, [&] { volume.attach(); }).find("being removed") != std::string::npos);
  }
  shell("for i in $(seq 100); do dmsetup info data >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1");
  BOOST_TEST(no_key_is_left(), keys_in_kernel());
  BOOST_TEST((volume.attach() == Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_pulled_drive_takes_its_mapping_along_and_comes_back_with_its_data) {
  const Volume volume("one");
  volume.attach();
  put(volume.path(), 0, pattern(3));
  {
    Fd user = open_mapping("data");
    pull_from_inside(volume.device);
    BOOST_TEST((dm::remove_dead_mapping("data") == dm::Removal::deferred));
    alignas(4096) static char block[4096];
    BOOST_TEST(::pread(user.get(), block, sizeof block, 8 << 20) == -1);
  }
  shell("for i in $(seq 100); do dmsetup info data >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1");
  BOOST_TEST(no_key_is_left(), keys_in_kernel());
  refusal(errc::device_unreadable, [&] { volume.attach(); });
  clear();  // finds the drive again
  BOOST_TEST((volume.attach() == Changed::yes));
  BOOST_TEST((get(volume.path(), 0) == pattern(3)));
}

BOOST_AUTO_TEST_CASE(rewraps_under_load_leave_the_mapping_and_its_data_alone) {
  const Volume volume("one");
  volume.attach();
  const std::string before = table("data") + output_of("dmsetup info -c -o minor,suspended,events data");
  std::atomic<bool> done = false;
  std::atomic<int> rounds = 0;
  std::string failure;
  std::thread load([&] {
    try {
      for (; !done; ++rounds) {
        const Bytes bytes = pattern(static_cast<std::uint8_t>(rounds));
        put(volume.path(), 2 << 20, bytes);
        if (get(volume.path(), 2 << 20) != bytes) failure += "other bytes came back;";
      }
    } catch (const std::exception& error) {
      failure += error.what();
    }
  });
  dm::Token token = volume.token;
  for (int rewraps = 0; rewraps < 8 || rounds < 8; ++rewraps) {
    token = test::rewrapped(token);
    BOOST_TEST((dm::rewrap(volume.device, token) == Changed::yes));
  }
  done = true;
  load.join();
  BOOST_TEST(failure == "");
  BOOST_TEST(table("data") + output_of("dmsetup info -c -o minor,suspended,events data") == before);
  BOOST_TEST((dm::LuksHeader::open(volume.device).token() == token));
  BOOST_TEST((dm::detach("data") == Changed::yes));
  BOOST_TEST((volume.attach() == Changed::yes));
}

BOOST_AUTO_TEST_CASE(keys_with_zero_bytes_and_line_feeds_reach_the_kernel_whole) {
  for (std::uint8_t byte : {0x00, 0x0a}) {
    Secret key = Secret::random(volume_key_size);
    for (std::size_t at : {0, 1, 20, 32, 33, 63}) key.writable()[at] = byte;
    const Volume volume("one", "data", dm::Discards::refused, std::move(key));
    volume.attach();
    put(volume.path(), 0, pattern(byte));
    dm::detach("data");
    map_with_hex_key(volume);
    BOOST_TEST((get("/dev/mapper/raw", 0) == pattern(byte)), "byte " << int(byte));
    dm::remove_mapping("raw");
    dm::erase(volume.device, volume.token.volume);
  }
}

BOOST_AUTO_TEST_SUITE_END()
