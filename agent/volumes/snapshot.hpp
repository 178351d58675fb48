// Snapshot: what the catalogue knows at one moment, and its spelling in this node's last-known copy. Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/state.hpp"

namespace volcrypt::volumes {

enum class Freshness { current, last_known };  // last_known: the store did not answer

enum class Intention { create, erase };

// A drive is about to be formatted or erased. One per volume name; key "intent/NAME".
struct Intent {
  Intention verb = Intention::create;
  cluster::VolumeRecord record;
  std::string drive{};  // of an erase: DriveFacts::identity of the drive on which it began; may be empty
};

struct Snapshot {
  std::vector<cluster::VolumeRecord> volumes;
  std::vector<Intent> intents;
  std::set<Uuid> erased;     // tombstones: volumes that were deleted by command
  std::set<Uuid> forgotten;  // volumes whose drives were given up by command
  Freshness freshness = Freshness::current;

  const cluster::VolumeRecord* named(std::string_view name) const;
  const cluster::VolumeRecord* of(const Uuid& volume) const;
  const Intent* intent_named(std::string_view name) const;
};

// One line per entry and a checksum at the end; throws Error(errc::store_damaged) for anything else.
std::string to_local_copy(const Snapshot& snapshot);
Snapshot parse_local_copy(std::string_view text);
std::string to_json(const Intent& intent);
Intent parse_intent(std::string_view json);  // errc::store_damaged, errc::token_version

}  // namespace volcrypt::volumes
