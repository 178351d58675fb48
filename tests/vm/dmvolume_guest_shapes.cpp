// What the drive and the operator decide about a mapping: sector size, discards, work queues. Runs inside of a machine,
// as root (dmvolume_volume.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/vm/dmvolume_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;

namespace {

bool has_flag(const std::string& flag) { return (table("data") + " ").find(" " + flag) != std::string::npos; }

std::string queue_of_mapping(const std::string& fact) {
  return word_in("/sys/class/block/" + kernel_name("/dev/mapper/data") + "/queue/" + fact);
}

void check_holds_data(const Volume& volume) {
  put(volume.path(), 4096, pattern(7));
  BOOST_TEST((get(volume.path(), 4096) == pattern(7)));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volume_shapes, Drives)

BOOST_AUTO_TEST_CASE(sectors_of_4096_bytes_are_used_on_drives_with_blocks_of_4096_and_of_512_bytes) {
  for (const char* serial : {"wide", "one"}) {
    BOOST_TEST_CONTEXT(serial) {
      const Volume volume(serial);
      BOOST_TEST(volume.token.description.sector_size == 4096U);
      volume.attach();
      BOOST_TEST(has_flag("sector_size:4096"), table("data"));
      BOOST_TEST(queue_of_mapping("logical_block_size") == "4096");
      check_holds_data(volume);
      dm::detach("data");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_drive_whose_size_is_no_multiple_of_4096_gets_sectors_of_512_bytes_to_its_last_one) {
  const Volume volume("odd");
  BOOST_TEST(volume.token.description.sector_size == 512U);
  volume.attach();
  BOOST_TEST(!has_flag("sector_size"), table("data"));
  BOOST_TEST(queue_of_mapping("logical_block_size") == "512");
  BOOST_TEST(dm::find_mapping("data")->sectors == (62 << 20) / 512 + 1U);
  check_holds_data(volume);
  const Bytes last(512, 0x5a);
  put(volume.path(), 62 << 20, last);
  BOOST_TEST((get(volume.path(), 62 << 20, 512) == last));
}

BOOST_AUTO_TEST_CASE(sectors_of_4096_bytes_are_refused_where_the_size_does_not_allow_them) {
  dm::Token token = test::make_token();
  token.description.sector_size = 4096;
  const std::string writes = writes_to(drive("odd"));
  refusal(errc::invalid_argument,
          [&] { dm::create(drive("odd"), token, Secret::random(volume_key_size), dm::ExistingData::refuse); });
  BOOST_TEST(writes_to(drive("odd")) == writes);
}

BOOST_AUTO_TEST_CASE(discards_reach_the_drive_only_when_they_were_asked_for) {
  BOOST_REQUIRE(word_in("/sys/class/block/" + kernel_name(drive("one")) + "/queue/discard_max_bytes") != "0");
  for (dm::Discards discards : {dm::Discards::refused, dm::Discards::passed_down}) {
    const bool asked = discards == dm::Discards::passed_down;
    const Volume volume("one", "data", discards);
    volume.attach();
    put(volume.path(), 0, pattern(8));
    BOOST_TEST(has_flag("allow_discards") == asked, table("data"));
    BOOST_TEST((queue_of_mapping("discard_max_bytes") != "0") == asked);
    BOOST_TEST((std::system("blkdiscard -f /dev/mapper/data 2>/dev/null") == 0) == asked);
    BOOST_TEST(dm::all_zero(get(volume.device, test::image_data_offset)) == asked);
    dm::detach("data");
    dm::erase(volume.device, volume.token.volume);
  }
}

BOOST_AUTO_TEST_CASE(work_queues_are_bypassed_on_drives_without_rotating_parts_only) {
  for (bool rotates : {false, true}) {
    shell(std::string("echo ") + (rotates ? "1" : "0") + " > /sys/class/block/" + kernel_name(drive("one")) +
          "/queue/rotational");
    const Volume volume("one");
    volume.attach();
    BOOST_TEST(has_flag("no_read_workqueue") == !rotates, table("data"));
    BOOST_TEST(has_flag("no_write_workqueue") == !rotates, table("data"));
    check_holds_data(volume);
    dm::detach("data");
    dm::erase(volume.device, volume.token.volume);
  }
}

// FAILURES.md E: longhorn#12366, #13561.
BOOST_AUTO_TEST_CASE(a_drive_that_grew_gives_its_new_size_at_the_next_attach) {
  constexpr std::uint64_t before = 64 << 20, after = 96 << 20;
  const std::string file = "/root/growing", device = "/dev/loop7";
  shell("rm -f " + file + " && truncate -s " + std::to_string(before) + " " + file + " && losetup " + device + " " +
        file + " && udevadm settle");
  dm::Token token = test::make_token("data");
  token.description = dm::describe_device(device, dm::Discards::refused);
  token.description.data_offset = test::image_data_offset;
  const Secret key = Secret::random(volume_key_size);
  dm::create(device, token, key, dm::ExistingData::refuse);
  dm::attach(device, dm::LuksHeader::open(device).token(), key);
  put(dm::mapping_path("data"), 4096, pattern(9));
  shell("truncate -s " + std::to_string(after) + " " + file + " && losetup -c " + device);
  BOOST_TEST(dm::find_mapping("data")->sectors == (before - test::image_data_offset) / 512);
  dm::detach("data");
  dm::attach(device, dm::LuksHeader::open(device).token(), key);
  BOOST_TEST(dm::find_mapping("data")->sectors == (after - test::image_data_offset) / 512);
  BOOST_TEST((get(dm::mapping_path("data"), 4096) == pattern(9)));
  dm::detach("data");
  shell("losetup -d " + device + " && rm " + file);
}

BOOST_AUTO_TEST_SUITE_END()
