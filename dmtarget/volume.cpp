// Create, attach, detach, repair, rewrap and its taking back, see volume.hpp. Erase is in erase.cpp, backup and restore
// in header_backup.cpp, the refusals in formattable.cpp.
#include "dmtarget/volume.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "dmtarget/block_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/formattable.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::dm {
namespace {

bool lies_on(const Mapping& mapping, dev_t device) {
  return std::find(mapping.under.begin(), mapping.under.end(), device) != mapping.under.end();
}

void wipe_header(BlockFile& file, const Error& reason) {
  try {
    file.zero(0, header_area_size);
    file.sync();
  } catch (const Error&) {
    throw Error(errc::unknown_outcome, {"create a volume on", file.path(),
                                        std::string("After a failure (") + reason.what() +
                                            ") its header could not be wiped again. Do not use "
                                            "the device before you have looked at it."});
  }
}

// A mapping of the wanted name: right and live (true), absent or half-made by a crash (false, removed), or an Error.
bool is_attached_right(const std::string& name, const Uuid& volume, dev_t device) {
  std::optional<Mapping> mapping = find_mapping(name);
  if (!mapping) return false;
  auto refuse = [&name](errc cause, const char* why) { throw Error(cause, {"attach", mapping_path(name), why}); };
  if (!is_mapping_of(mapping->uuid, volume))
    refuse(errc::name_taken, "A mapping of that name exists and is not of this volume. Remove it first.");
  if (!mapping->has_table) {
    remove_mapping(name);
    return false;
  }
  if (mapping->is_leaving)
    refuse(errc::device_busy, "Its mapping is being removed and goes when its last user closes it. Attach it then.");
  if (!lies_on(*mapping, device))
    refuse(errc::duplicate_volume, "It is attached from another drive with the same volume UUID: one is a copy.");
  if (mapping->liveness != Liveness::active)
    refuse(errc::wrong_state, "Its mapping is suspended. Resume it: the agent does so at its start.");
  return true;
}

void check_no_other_mapping(const LuksHeader& header, const std::string& device, dev_t number) {
  for (const Mapping& mapping : list_mappings()) {
    if (is_mapping_of(mapping.uuid, header.facts().uuid))
      throw Error(errc::duplicate_volume,
                  {"attach", device, "Its volume is already attached as " + mapping.name + "."});
    if (lies_on(mapping, number))
      throw Error(errc::device_busy, {"attach", device, "It is in use under the mapping " + mapping.name + "."});
  }
}

dev_t block_device_number(const std::string& device) {
  dev_t number = BlockFile(device, BlockFile::Access::read).device();
  if (number == 0) throw Error(errc::invalid_argument, {"attach", device, "It is not a block device."});
  return number;
}

// udev probes a mapping for moments after a writer closed it, so "open" is looked at again for half a second.
std::optional<Mapping> find_when_probes_are_over(const std::string& name) {
  std::optional<Mapping> mapping = find_mapping(name);
  for (int look = 0; look < 10 && mapping && mapping->open_count > 0; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    mapping = find_mapping(name);
  }
  return mapping;
}

LuksHeader open_proved(const char* operation, const std::string& device, const Token& proved) {
  LuksHeader header = LuksHeader::open(device);
  header.check_description();
  if (!(header.token() == proved))
    throw Error(errc::header_changed, {operation, device,
                                       "It shows another token than when its key was asked for. Try again; a drive "
                                       "that does so twice is not to be trusted."});
  return header;
}

bool is_same_volume(const Token& a, const Token& b) {
  return a.cluster == b.cluster && a.group == b.group && a.volume == b.volume && a.name == b.name &&
         a.description == b.description;
}

}  // namespace

void create(const std::string& device, const Token& token, const Secret& volume_key, ExistingData existing) {
  BlockFile claim = claim_formattable(device, existing);
  try {
    LuksHeader::format(device, token, volume_key);
    LuksHeader header = LuksHeader::open(device);  // from the medium, before anybody counts on it
    header.check_description();
    header.verify_volume_key(volume_key);
    if (!(header.token() == token) || header.facts().copies != HeaderFacts::Copies::both_good)
      throw Error(errc::unknown_outcome, {"create a volume on", device, "Another header came back than was written."});
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) wipe_header(claim, error);  // that one comes before any write
    throw;
  }
}

Changed attach(const std::string& device, const Token& proved, const Secret& volume_key) {
  return attach_as(proved.name, device, proved, volume_key);
}

Changed attach_as(const std::string& name, const std::string& device, const Token& proved, const Secret& volume_key) {
  check_volume_name(name);
  dev_t number = block_device_number(device);
  LuksHeader header = open_proved("attach", device, proved);
  if (is_attached_right(name, header.facts().uuid, number)) return Changed::no;
  check_no_other_mapping(header, device, number);

  header.activate(name, volume_key);
  Undo remove([&name]() noexcept {
    try {
      remove_mapping(name);
    } catch (...) {
      // The first error is the one to report; the mapping is found again at the agent's start.
    }
  });
  table_of(name);  // throws if the key is in the table itself and not in the kernel's keyring
  remove.keep();
  return Changed::yes;
}

Changed detach(const std::string& name) {
  std::optional<Mapping> mapping = find_when_probes_are_over(name);
  if (!mapping) return Changed::no;
  auto refuse = [&name](errc cause, const char* why) { throw Error(cause, {"detach", mapping_path(name), why}); };
  if (!mapping->uuid.starts_with("CRYPT-LUKS2-")) refuse(errc::name_taken, "It is not a mapping of a volume.");
  if (mapping->open_count > 0) refuse(errc::device_busy, "It is mounted or open. Close what uses it first.");
  switch (remove_mapping(name)) {
    case Removal::was_absent:
      return Changed::no;
    case Removal::removed:
      return Changed::yes;
    case Removal::deferred:
      refuse(errc::device_busy, "It was opened meanwhile; it goes away by itself when its last user closes it.");
  }
  return Changed::yes;
}

Changed repair_header(const std::string& device, const Token& proved, const Secret& volume_key) {
  LuksHeader header = open_proved("repair the header of", device, proved);
  if (header.facts().copies == HeaderFacts::Copies::both_good) return Changed::no;
  header.verify_volume_key(volume_key);
  header.repair();
  return Changed::yes;
}

Changed rewrap(const std::string& device, const Token& token) {
  LuksHeader header = LuksHeader::open(device);
  header.check_description();
  if (header.token() == token) return Changed::no;
  if (!is_same_volume(header.token(), token))
    throw Error(errc::invalid_argument,
                {"rewrap", device, "The token is of another volume or describes it otherwise."});
  if (token.generation < header.token().generation)
    throw Error(errc::wrong_generation,
                {"rewrap", device,
                 "Its DEK is wrapped by generation " + std::to_string(header.token().generation) + " already, and " +
                     std::to_string(token.generation) + " is older."});
  header.replace_token(token);
  return Changed::yes;
}

Changed take_back(const std::string& device, const Rewrap& rewrap) {
  if (!is_same_volume(rewrap.before, rewrap.after))
    throw Error(errc::invalid_argument,
                {"take back the rewrap of", device, "The two tokens are not of one volume, or describe it otherwise."});
  LuksHeader header = LuksHeader::open(device);
  header.check_description();
  if (header.token() == rewrap.before) return Changed::no;
  if (!(header.token() == rewrap.after))
    throw Error(errc::header_changed,
                {"take back the rewrap of", device, "It carries neither the new wrap nor the old one."});
  header.replace_token(rewrap.before);
  return Changed::yes;
}

}  // namespace volcrypt::dm
