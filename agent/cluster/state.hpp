// The cluster's persistent documents as values, and their JSON: encryption state, generations, rotation, volumes.
// One key of the store each: "cluster", "encryption", "generation/N", "volume/NAME", "header/UUID". Pure. Any thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::cluster {

using keys::Generation;

enum class EncryptionPhase { Disabled, Enabling, Enabled };
enum class RotationPhase { NoRotation, DistributingKEK, EncryptingDEKs };

struct EncryptionState {
  EncryptionPhase phase = EncryptionPhase::Disabled;
  bool feature_flag = false;
  std::optional<keys::Protection> protection;   // chosen once, at enable time
  Generation current = 0;                       // 0: none yet
  std::set<Generation> previous;                // still needed by some volume
  RotationPhase rotation = RotationPhase::NoRotation;
  Generation distributing = 0;                  // in DistributingKEK: the number being made
  Generation highest_used = 0;                  // also burnt numbers; the next one is highest_used + 1
  std::set<Uuid> proved;                        // members that proved `distributing`
  bool operator==(const EncryptionState&) const = default;
};

struct VolumeRecord {
  Uuid volume, group, owner;
  std::string name;
  Generation generation = 0;    // what the header carries, as last known
  std::string device_hint;      // last device path seen; a hint only
  std::uint64_t bytes = 0;      // size of the device
  std::optional<bool> present;  // not stored: filled by the node that looks
};

std::string to_json(const EncryptionState& state);
EncryptionState parse_encryption_state(std::string_view json);  // strict
std::string to_json(const VolumeRecord& record);
VolumeRecord parse_volume_record(std::string_view json);
std::string to_json(const keys::KekRecord& record);
keys::KekRecord parse_kek_record(std::string_view json);

}  // namespace volcrypt::cluster
