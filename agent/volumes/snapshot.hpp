// Snapshot: what the catalogue knows at one moment, and its spelling in this node's last-known copy. Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/intent.hpp"
#include "agent/cluster/store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

enum class Freshness { current, last_known };  // last_known: the store did not answer

using cluster::Intent;
using cluster::Intention;
using cluster::parse_intent;
using cluster::to_json;

// An entry of the store that cannot be read: damaged, or of a newer release. It hides itself alone; which generation
// its volume needs is unknown, so it may be any.
struct Unreadable {
  std::string key;  // "volume/NAME", "intent/NAME", "erased/UUID", "forgotten/UUID"
  std::string cause;
  cluster::Revision modified = 0;

  std::string name() const;  // of the volume; empty for a mark
};

// What a verb on that volume ends with: errc::store_damaged, with the ways out.
Error refusal(const Unreadable& entry);

struct Snapshot {
  std::vector<cluster::VolumeRecord> volumes;
  std::vector<Intent> intents;
  std::set<Uuid> erased;     // tombstones: volumes that were deleted by command
  std::set<Uuid> forgotten;  // volumes whose drives were given up by command
  std::vector<Unreadable> unreadable;
  Freshness freshness = Freshness::current;

  const Unreadable* unreadable_named(std::string_view name) const;
  bool may_need_any_generation() const;  // a record or an intent cannot be read
  const cluster::VolumeRecord* named(std::string_view name) const;
  const cluster::VolumeRecord* of(const Uuid& volume) const;
  const Intent* intent_named(std::string_view name) const;
};

// One line per entry and a checksum at the end; throws Error(errc::store_damaged) for anything else.
std::string to_local_copy(const Snapshot& snapshot);
Snapshot parse_local_copy(std::string_view text);

}  // namespace volcrypt::volumes
