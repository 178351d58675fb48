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

enum class TakeOver {
  if_gone,  // of another node's volume: when that node says that it is gone there
  by_order  // also when that node cannot be asked: the administrator answers for it
};

// What is known of the owner of record, when it is another node.
enum class OwnerWord {
  unasked,
  unknown,    // it is not known whether it is a member, or the record cannot be changed now
  no_member,  // removed from the cluster
  silent,     // does not answer, or cannot tell
  gone,
  visible,  // a drive that carries the volume is there
  mapped
};

struct AttachQuestion {
  Uuid cluster, node;  // ours; nil cluster: not a member yet
  Sighting drive;
  std::vector<Sighting> copies;                    // other drives with the same volume UUID
  std::optional<cluster::VolumeRecord> record;     // of this volume UUID
  std::optional<cluster::VolumeRecord> namesake;   // of another volume with the same name
  std::vector<dm::Mapping> mappings;               // of the whole machine
  std::set<Generation> held;                       // KEK generations on this node
  std::optional<cluster::VolumeRecord> half_made;  // of a create that was cut off, while there is no record
  struct Owner {
    std::string name;  // the node's; its UUID where it has none any more
    OwnerWord word = OwnerWord::unasked;
    std::string cause;  // of unknown and silent, a sentence
  } owner;
  bool promised = false;   // this node told another that the volume is gone here, and may hold it to that
  bool erased = false;     // this volume UUID was erased by command
  bool forgotten = false;  // and this one: its drive was given up by command
  Order order = Order::automatic;
  TakeOver take_over = TakeOver::if_gone;
};

enum class Verdict {
  attach,
  already_attached,
  ask_owner,  // nothing else speaks against it: the owner of record has to be asked first
  take_over,  // it may become this node's; then all is asked anew
  refuse
};

struct Decision {
  Verdict verdict = Verdict::refuse;
  errc cause = errc::invalid_argument;  // of a refusal
  std::string reason;                   // a refusal's facts, as a phrase; empty otherwise
  std::string way_out;                  // a full sentence
};

Decision decide_attach(const AttachQuestion& question);

// Of record; this node where there is none.
Uuid owner_of(const AttachQuestion& question);

// The live mapping of `volume`, if there is one, whatever its name.
const dm::Mapping* mapping_of(const std::vector<dm::Mapping>& mappings, const Uuid& volume);

}  // namespace volcrypt::volumes
