// Headers on real drives: erased, backed up, put back, repaired, and read by the tools that every administrator has.
// Runs inside of a machine, as root (dmvolume_volume.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/vm/dmvolume_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using dm::Changed;
using Copies = dm::HeaderFacts::Copies;

namespace {

void check_text(const std::string& command, std::initializer_list<std::string> wanted) {
  const std::string text = output_of(command + " 2>&1");
  for (const std::string& word : wanted) BOOST_TEST(text.find(word) != std::string::npos, word << " in " << text);
}

void damage(const Volume& volume, std::initializer_list<test::Copy> copies) {
  forge(volume.device, [&](const std::string& file) {
    for (test::Copy copy : copies) test::damage_copy(file, copy);
  });
}

// Attaches, and finds the data that were written before.
void check_opens_with(const Volume& volume, const Bytes& data) {
  BOOST_TEST((volume.attach() == Changed::yes));
  BOOST_TEST((get(volume.path(), 0) == data));
  BOOST_TEST((dm::detach("data") == Changed::yes));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volume_headers, Drives)

BOOST_AUTO_TEST_CASE(cryptsetup_and_blkid_understand_a_volume_and_have_no_way_in) {
  const Volume volume("one");
  shell("udevadm settle");
  const std::string writes = writes_to(volume.device);
  check_text("cryptsetup luksDump " + volume.device,
             {"Version:       \t2", "Label:         \tvolcrypt:data", "Subsystem:     \tvolcrypt",
              "cipher: aes-xts-plain64", "sector: 4096 [bytes]", "0: volcrypt", volume.token.volume.str()});
  check_text("blkid -p -o export " + volume.device, {"TYPE=crypto_LUKS", "VERSION=2", "LABEL=volcrypt:data",
                                                     "SUBSYSTEM=volcrypt", "UUID=" + volume.token.volume.str()});
  shell("cryptsetup isLuks --type luks2 " + volume.device);
  shell("! echo anything | cryptsetup open --test-passphrase " + volume.device + " 2>/dev/null");
  BOOST_TEST(writes_to(volume.device) == writes);
  volume.attach();
  check_text("cryptsetup status data",
             {"data is active", "type:    LUKS2", "cipher:  aes-xts-plain64", "key location: keyring"});
}

BOOST_AUTO_TEST_CASE(an_erased_volume_has_no_header_and_its_key_opens_nothing) {
  const Volume volume("one");
  volume.attach();
  put(volume.path(), 0, pattern(4));
  BOOST_TEST((dm::detach("data") == Changed::yes));
  dm::erase(volume.device, volume.token.volume);
  const std::uint64_t size = dm::BlockFile(volume.device, dm::BlockFile::Access::read).size();
  for (std::uint64_t at = 0; at < size; at += 4 << 20)  // these drives do discard
    BOOST_TEST(dm::all_zero(get(volume.device, at, 4 << 20)), "at byte " << at);
  refusal(errc::device_all_zero, [&] { volume.attach(); });
  refusal(errc::device_all_zero, [&] { dm::erase(volume.device, volume.token.volume); });
  shell("! cryptsetup isLuks " + volume.device + " && ! blkid -p " + volume.device);
  BOOST_TEST(!dm::find_mapping("data").has_value());
  const Volume next("one");  // and nothing is in the way of another volume
  BOOST_TEST((next.attach() == Changed::yes));
  BOOST_TEST((get(next.path(), 0) != pattern(4)));
}

BOOST_AUTO_TEST_CASE(erase_of_another_volume_than_expected_writes_nothing) {
  const Volume volume("one");
  const std::string writes = writes_to(volume.device);
  refusal(errc::no_such_volume, [&] { dm::erase(volume.device, Uuid::random()); });
  BOOST_TEST(writes_to(volume.device) == writes);
}

BOOST_AUTO_TEST_CASE(one_damaged_copy_opens_the_data_unwritten_and_is_repaired_with_the_key) {
  const Volume volume("one");
  volume.attach();
  put(volume.path(), 0, pattern(5));
  dm::detach("data");
  for (test::Copy copy : {test::Copy::primary, test::Copy::secondary}) {
    damage(volume, {copy});
    check_opens_with(volume, pattern(5));
    const std::string writes = writes_to(volume.device);
    BOOST_TEST((dm::LuksHeader::open(volume.device).facts().copies == Copies::one_damaged));
    BOOST_TEST(writes_to(volume.device) == writes);
    BOOST_TEST((dm::repair_header(volume.device, volume.token, volume.key) == Changed::yes));
    BOOST_TEST((dm::LuksHeader::open(volume.device).facts().copies == Copies::both_good));
  }
}

BOOST_AUTO_TEST_CASE(a_backup_put_back_over_one_or_two_damaged_copies_opens_the_data) {
  const Volume volume("one");
  volume.attach();
  put(volume.path(), 0, pattern(6));
  dm::detach("data");
  const Bytes backup = dm::backup_header(volume.device);
  for (auto copies : {std::initializer_list<test::Copy>{test::Copy::primary},
                      {test::Copy::secondary},
                      {test::Copy::primary, test::Copy::secondary}}) {
    damage(volume, copies);
    if (copies.size() == 2) refusal(errc::header_damaged, [&] { volume.attach(); });
    dm::restore_header(volume.device, backup, volume.token.volume);
    BOOST_TEST((get(volume.device, 0, dm::header_area_size) == backup));
    check_opens_with(volume, pattern(6));
  }
}

// The image tier has no device that reads and cannot be written.
BOOST_AUTO_TEST_CASE(a_damaged_copy_on_a_drive_that_cannot_be_written_is_told_and_the_other_is_not_risked) {
  const Volume volume("one");
  damage(volume, {test::Copy::primary});
  shell("udevadm settle && blockdev --setro " + volume.device);
  dm::LuksHeader header = dm::LuksHeader::open(volume.device);
  BOOST_TEST((header.facts().copies == Copies::one_damaged));
  header.verify_volume_key(volume.key);
  BOOST_CHECK_THROW(dm::repair_header(volume.device, volume.token, volume.key), Error);
  BOOST_TEST((dm::LuksHeader::open(volume.device).facts().copies == Copies::one_damaged));
  shell("blockdev --setrw " + volume.device);
  const std::string writes = writes_to(volume.device);
  refusal(errc::header_damaged, [&] { header.replace_token(test::rewrapped(volume.token)); });
  BOOST_TEST(writes_to(volume.device) == writes);
  BOOST_TEST((dm::repair_header(volume.device, volume.token, volume.key) == Changed::yes));
  BOOST_TEST((dm::LuksHeader::open(volume.device).facts().copies == Copies::both_good));
}

// Somebody rewraps between another's look and write.
BOOST_AUTO_TEST_CASE(a_header_that_changed_meanwhile_is_not_written_over) {
  const Volume volume("one");
  dm::LuksHeader stale = dm::LuksHeader::open(volume.device);
  const dm::Token next = test::rewrapped(volume.token);
  dm::rewrap(volume.device, next);
  const std::string writes = writes_to(volume.device);
  refusal(errc::conflict, [&] { stale.replace_token(test::rewrapped(next)); });
  BOOST_TEST(writes_to(volume.device) == writes);
  BOOST_TEST((dm::LuksHeader::open(volume.device).token() == next));
}

BOOST_AUTO_TEST_SUITE_END()
