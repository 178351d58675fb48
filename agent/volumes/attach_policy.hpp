// Attach policy: may this drive become /dev/mapper/NAME on this node? A pure function of what is known; it sees no
// device, no key and no clock. The cryptographic proof (unwrapping the DEK) comes after a yes. Any thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/state.hpp"
#include "agent/volumes/devices.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

using cluster::Generation;

enum class Order {
  automatic,  // boot, hot-plug, or a name alone: whatever drive carries it
  this_drive  // the operator named volume and drive: decides between copies, takes a forgotten one in again
};

struct AttachQuestion {
  Uuid cluster, node;  // ours; nil cluster: not a member yet
  Sighting drive;
  std::vector<Sighting> copies;                   // other drives with the same volume UUID
  std::optional<cluster::VolumeRecord> record;    // of this volume UUID
  std::optional<cluster::VolumeRecord> namesake;  // of another volume with the same name
  std::vector<dm::Mapping> mappings;              // of the whole machine
  std::set<Generation> held;                      // KEK generations on this node
  bool erased = false;                            // this volume UUID was erased by command
  bool forgotten = false;                         // and this one: its drive was given up by command
  Order order = Order::automatic;
};

enum class Verdict { attach, already_attached, refuse };

struct Decision {
  Verdict verdict = Verdict::refuse;
  errc cause = errc::invalid_argument;  // of a refusal
  std::string reason;                   // a refusal's facts, as a phrase; empty otherwise
  std::string way_out;                  // a full sentence
};

Decision decide_attach(const AttachQuestion& question);

// The live mapping of `volume`, if there is one, whatever its name.
const dm::Mapping* mapping_of(const std::vector<dm::Mapping>& mappings, const Uuid& volume);

}  // namespace volcrypt::volumes
