// The conformance suite of Devices, see devices_conformance.hpp.
#include "tests/support/devices_conformance.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::test {

namespace {

using volumes::Devices;

constexpr dev_t nothing = 0xFFFFFF;  // no block device and no inode of a fresh directory has this number

void promise(bool kept, const std::string& what) {
  if (!kept) throw std::runtime_error("promise broken: " + what);
}

template <class Call>
std::string kind_of_failure(Call call) {
  try {
    call();
  } catch (const boost::system::system_error& error) {
    return errc_name(error.code());
  }
  return "none";
}

// udev needs a moment to look at a drive that was written.
bool appears(Devices& devices, const Uuid& volume, dev_t number) {
  for (int i = 0; i < 100; ++i) {
    const auto found = devices.scan();
    if (std::any_of(found.begin(), found.end(),
                    [&](const auto& candidate) { return candidate.volume == volume && candidate.number == number; }))
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

std::optional<dm::Mapping> live(Devices& devices, const std::string& name) {
  for (const dm::Mapping& mapping : devices.mappings())
    if (mapping.name == name) return mapping;
  return std::nullopt;
}

dm::Token fresh_token(const std::string& name, const dm::Description& description) {
  dm::Token token;
  token.cluster = Uuid::random();
  token.group = Uuid::random();
  token.volume = Uuid::random();
  token.name = name;
  token.generation = 1;
  token.description = description;
  return token;
}

void check_mapping(Devices& devices, const std::string& drive, const dm::Token& token, const Secret& key) {
  const volumes::Sighting seen = devices.look(drive);
  promise(kind_of_failure([&] { devices.attach(drive, seen.token, Secret::random(volume_key_size)); }) == "wrong_key",
          "a wrong key is refused");
  dm::Token other = seen.token;
  ++other.generation;
  promise(kind_of_failure([&] { devices.attach(drive, other, key); }) == "header_changed",
          "a header that is not the one whose key was asked for is refused");
  promise(!live(devices, token.name), "a refused attach leaves no mapping");
  promise(devices.attach(drive, seen.token, key) == dm::Changed::yes, "attach makes a mapping");
  promise(devices.attach(drive, seen.token, key) == dm::Changed::no, "attach again changes nothing");
  const std::optional<dm::Mapping> mapping = live(devices, token.name);
  promise(mapping.has_value(), "an attached volume is listed");
  promise(dm::is_mapping_of(mapping->uuid, token.volume), "its UUID tells the volume");
  promise(mapping->has_table && mapping->liveness == dm::Liveness::active, "it is active");
  promise(mapping->under == std::vector<dev_t>{seen.number}, "it lies on the drive");
  promise(mapping->sectors == (seen.bytes - token.description.data_offset) / 512,
          "it is as large as the drive less the header");
}

void check_header(Devices& devices, const std::string& drive, const std::string& other, dm::Token& token,
                  const Secret& key) {
  dm::Rewrap change{token, token};
  token.generation = 2;
  token.nonce.fill(7);
  change.after = token;
  promise(devices.rewrap(drive, token) == dm::Changed::yes, "rewrap changes the token");
  promise(devices.look(drive).token == token, "the new token is on the drive");
  promise(devices.take_back(drive, change) == dm::Changed::yes, "a rewrap can be taken back");
  promise(devices.look(drive).token == change.before, "the old token is on the drive again");
  promise(devices.rewrap(drive, token) == dm::Changed::yes, "and it can be done again");
  promise(live(devices, token.name)->liveness == dm::Liveness::active, "rewrap leaves the mapping alone");
  devices.verify_key(drive, key);
  promise(devices.repair_header(drive, token, key) == dm::Changed::no, "two good copies need no repair");
  promise(kind_of_failure([&] { devices.repair_header(drive, change.before, key); }) == "header_changed",
          "a header that is not the one whose key was asked for is not repaired");
  promise(kind_of_failure([&] { devices.verify_key(drive, Secret::random(volume_key_size)); }) == "wrong_key",
          "the digest refuses another key");
  promise(devices.detach(token.name) == dm::Changed::yes, "detach removes the mapping");
  promise(devices.detach(token.name) == dm::Changed::no, "detach again changes nothing");
  promise(!live(devices, token.name), "a detached volume is not listed");
  promise(devices.remove(token.name) == dm::Removal::was_absent, "removing what is not there is no error");

  const Bytes backup = devices.backup_header(drive);
  promise(kind_of_failure([&] { devices.restore_header(other, backup, Uuid::random()); }) != "none",
          "a backup of another volume than expected is refused");
  devices.erase(drive, token.volume);
  promise(kind_of_failure([&] { devices.look(drive); }) != "none", "an erased drive has no header");
  devices.restore_header(drive, backup, token.volume);
  promise(devices.look(drive).token == token, "a restored header is the one that was backed up");
  devices.erase(drive, token.volume);
}

// What only looks: at drives that are none of our business.
void check_looks(Devices& devices, const std::string& blank) {
  const auto all = devices.drives();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const volumes::DriveFacts& drive) { return drive.device == blank; });
  promise(found != all.end(), "udev's drives are listed");
  promise(volumes::is_worth_a_look(*found), "a blank drive is worth a look");
  bool quiet = devices.quiet();
  for (int i = 0; i < 100 && !quiet; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    quiet = devices.quiet();
  }
  promise(quiet, "udev comes to rest");
}

}  // namespace

void check_devices(Devices& devices, const std::string& blank, const std::string& other) {
  promise(kind_of_failure([&] { devices.look(blank); }) == "device_all_zero", "a blank drive is told as such");
  promise(kind_of_failure([&] { devices.look(blank + "-not-there"); }) == "device_unreadable",
          "an absent drive is told as such");
  check_looks(devices, blank);
  devices.check_formattable(blank, dm::ExistingData::refuse);
  dm::Token token = fresh_token("conformance", devices.describe(blank, dm::Discards::refused));
  const Secret key = Secret::random(volume_key_size);
  devices.create(blank, token, key, dm::ExistingData::refuse);
  const volumes::Sighting seen = devices.look(blank);
  promise(seen.token == token, "what was created is read back");
  promise(devices.present(seen.number), "a plugged drive is present");
  promise(!devices.present(nothing), "a number that nobody has is not present");
  promise(appears(devices, token.volume, seen.number), "a created volume is found by a scan");
  promise(kind_of_failure([&] { devices.create(blank, token, key, dm::ExistingData::erase); }) != "none",
          "a drive with a good header is never formatted");
  check_mapping(devices, blank, token, key);
  check_header(devices, blank, other, token, key);
}

}  // namespace volcrypt::test
