// The cluster's persistent documents as values, and their JSON: encryption state, generations, volumes, recovery blobs.
// Each is one key of the store, see keys_of_store.hpp. Pure. Any thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::cluster {

using keys::Generation;

enum class EncryptionPhase { Disabled, Enabling, Enabled };
enum class RotationPhase { NoRotation, DistributingKEK, EncryptingDEKs };

struct EncryptionState {
  EncryptionPhase phase = EncryptionPhase::Disabled;
  bool feature_flag = false;
  std::optional<keys::Protection> protection;  // chosen once, at enable time
  Generation current = 0;                      // 0: none yet
  std::set<Generation> previous;               // still needed by some volume
  std::set<Generation> retiring;               // needed by none: burnt, or found unneeded; members are to destroy them
  RotationPhase rotation = RotationPhase::NoRotation;
  Generation distributing = 0;  // the number being made, in Enabling and DistributingKEK
  Generation highest_used = 0;  // also burnt numbers; the next one is highest_used + 1
  std::set<Uuid> proved;        // members that proved `distributing`
  std::set<Uuid> rewrapped;     // in EncryptingDEKs: members whose present volumes all carry `current`
  bool operator==(const EncryptionState&) const = default;
};

// What contradicts itself in a state, as a sentence; empty when nothing does. The parser refuses such a document.
std::string flaw(const EncryptionState& state);

struct VolumeRecord {
  Uuid volume, group, owner;
  std::string name;
  Generation generation = 0;    // what the header carries, as last known
  std::string device_hint;      // last device path seen; a hint only
  std::uint64_t bytes = 0;      // size of the device
  std::optional<bool> present;  // not stored: filled by the node that looks
};

// Names in JSON and in status output.
std::string_view spelling(EncryptionPhase phase);
std::string_view spelling(RotationPhase phase);
std::string_view spelling(keys::Protection protection);
keys::Protection parse_protection(std::string_view text);  // throws errc::invalid_argument

// The parsers are strict: every member once, none unknown, exact types. They throw Error(errc::store_damaged) that
// names the document and the member, errc::token_version for a format version that this release does not know.
std::string to_json(const EncryptionState& state);
EncryptionState parse_encryption_state(std::string_view json);  // also accepts the vendor's "EncryptyingDEKs"
std::string to_json(const VolumeRecord& record);
VolumeRecord parse_volume_record(std::string_view json);
std::string to_json(const keys::KekRecord& record);
keys::KekRecord parse_kek_record(std::string_view json);
std::string to_json(const keys::RecoveryBlob& blob);
keys::RecoveryBlob parse_recovery_blob(std::string_view json);

}  // namespace volcrypt::cluster
