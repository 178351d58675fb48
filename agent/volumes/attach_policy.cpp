// Attach policy: the checks, from whose drive it is down to which copy of it. See attach_policy.hpp.
#include "agent/volumes/attach_policy.hpp"

#include <algorithm>

#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

Decision refuse(errc cause, std::string reason, std::string way_out) {
  return {Verdict::refuse, cause, std::move(reason), std::move(way_out)};
}

std::string paths(const std::vector<Sighting>& drives) {
  std::string text;
  for (const Sighting& drive : drives) text += (text.empty() ? "" : ", ") + drive.device;
  return text;
}

bool lies_under(const dm::Mapping& mapping, dev_t number) {
  return std::find(mapping.under.begin(), mapping.under.end(), number) != mapping.under.end();
}

std::string header_restore(const std::string& name, const std::string& device) {
  return "`volcryptctl header restore " + name + " --device " + device + "`";
}

Decision about_cluster(const AttachQuestion& q) {
  if (q.cluster.is_nil())
    return refuse(errc::wrong_state, "this node belongs to no cluster yet", "Run `volcryptctl cluster init` first.");
  if (q.drive.token.cluster != q.cluster)
    return refuse(errc::wrong_cluster, "it belongs to volcrypt cluster " + q.drive.token.cluster.str(),
                  "Attach it on a node of that cluster, or open it with that cluster's recovery key.");
  if (q.erased)
    return refuse(errc::wrong_state, "volume " + q.drive.token.volume.str() + " was deleted; this is an old copy of it",
                  "Erase the drive, or open it with the recovery key if the old data is wanted.");
  if (q.forgotten && !q.record && q.order == Order::automatic)
    return refuse(errc::wrong_state, "volume " + q.drive.token.volume.str() + " was given up by `forget volume`",
                  "If it is wanted again: `volcryptctl attach " + q.drive.token.name + " --device " + q.drive.device +
                      "`. If the drive is to be used anew: wipefs --all it.");
  return {Verdict::attach, {}, {}, {}};
}

std::string take_over_command(const AttachQuestion& q) {
  return "`volcryptctl attach " + q.drive.token.name +
         (q.order == Order::this_drive ? " --device " + q.drive.device : "") + " --take-over`";
}

// Another node's volume: its word decides, and where it has none, the administrator's. "I hold it" is never overruled.
Decision about_other_owner(const AttachQuestion& q) {
  const std::string& name = q.drive.token.name;
  const std::string owner = "its owner is the node " + q.owner.name;
  const Decision take_over{Verdict::take_over, {}, {}, {}};
  switch (q.owner.word) {
    case OwnerWord::unasked:
      return {Verdict::ask_owner, {}, {}, {}};
    case OwnerWord::gone:
      return take_over;
    case OwnerWord::unknown:
      return refuse(errc::timed_out, owner + ", and a volume cannot change hands now",
                    q.owner.cause + " Try again when that has passed.");
    case OwnerWord::mapped:
      return refuse(errc::wrong_state, owner + ", where it is attached",
                    "Detach it there with `volcryptctl detach " + name +
                        "`, pull the drive there and say it again here. A drive that both nodes see is used by its "
                        "owner alone.");
    case OwnerWord::visible:
      return refuse(errc::wrong_state, owner + ", where its drive is, too",
                    "Attach it there, or pull the drive there and say it again here. A drive that both nodes see is "
                    "used by its owner alone.");
    case OwnerWord::silent:
      if (q.take_over == TakeOver::by_order) return take_over;
      return refuse(errc::timed_out, owner + ", which does not say whether it is gone there",
                    q.owner.cause +
                        " Only if that node is down, or does certainly not use the drive any more, decide "
                        "for it: " +
                        take_over_command(q) + ".");
    case OwnerWord::no_member:
      break;
  }
  if (q.take_over == TakeOver::by_order) return take_over;
  return refuse(
      errc::wrong_state, owner + ", which is no member of the cluster any more",
      "If that server does certainly not use the drive any more, decide for it: " + take_over_command(q) + ".");
}

Decision about_identity(const AttachQuestion& q) {
  const dm::Token& token = q.drive.token;
  if (q.record && (q.record->name != token.name || q.record->group != token.group))
    return refuse(errc::header_changed,
                  "the catalogue knows this volume as " + q.record->name + ", the header says " + token.name,
                  "Put the header back with " + header_restore(q.record->name, q.drive.device) + ".");
  if (q.namesake)
    return refuse(errc::name_taken,
                  "the catalogue has another volume named " + token.name + " (" + q.namesake->volume.str() + ")",
                  "Delete that volume, or keep this drive out of the machine.");
  if (!q.held.contains(token.generation)) {
    const bool past = !q.held.empty() && token.generation < *q.held.rbegin();
    return refuse(errc::wrong_generation,
                  "its key is wrapped by KEK generation " + std::to_string(token.generation) +
                      (past ? ", which was retired" : ", which this node does not hold"),
                  past ? "The header is older than the last rotation: put the newest one back with " +
                             header_restore(token.name, q.drive.device) + "."
                       : "Bring this node's cluster state up to date first.");
  }
  return {Verdict::attach, {}, {}, {}};
}

// A mapping of this volume, or of this name, exists already.
std::optional<Decision> about_mappings(const AttachQuestion& q) {
  const dm::Token& token = q.drive.token;
  if (const dm::Mapping* live = mapping_of(q.mappings, token.volume)) {
    if (live->name != token.name)
      return refuse(errc::name_taken, "the volume is mapped as " + live->name + " already",
                    "Detach that mapping first.");
    const bool under = lies_under(*live, q.drive.number);
    if (under && live->is_leaving)
      return refuse(errc::device_busy, "its mapping is being removed, and is still in use",
                    "Unmount or close /dev/mapper/" + token.name + "; then it can be attached anew.");
    if (under) return Decision{Verdict::already_attached, {}, {}, {}};
    // The one that is in use is never disturbed, and the other one is not opened beside it.
    const bool owner_present = std::any_of(q.copies.begin(), q.copies.end(),
                                           [&](const Sighting& copy) { return lies_under(*live, copy.number); });
    if (owner_present)
      return refuse(
          errc::duplicate_volume, "another drive carries the same volume and is attached",
          "Keep one: erase this copy, or detach the other and say `volcryptctl attach NAME --device DEVICE`.");
    return refuse(
        errc::device_busy, "the mapping of a drive that went away is still in use",
        "Unmount or close /dev/mapper/" + token.name + "; the drive is attached when its last user has gone.");
  }
  for (const dm::Mapping& mapping : q.mappings) {
    if (mapping.name == token.name)
      return refuse(errc::name_taken, "/dev/mapper/" + token.name + " is something else", "Remove that mapping first.");
    if (lies_under(mapping, q.drive.number))
      return refuse(errc::device_busy, "the drive is in use by mapping " + mapping.name, "Remove that mapping first.");
  }
  return std::nullopt;
}

}  // namespace

const dm::Mapping* mapping_of(const std::vector<dm::Mapping>& mappings, const Uuid& volume) {
  const auto found = std::find_if(mappings.begin(), mappings.end(),
                                  [&](const dm::Mapping& mapping) { return dm::is_mapping_of(mapping.uuid, volume); });
  return found == mappings.end() ? nullptr : &*found;
}

Uuid owner_of(const AttachQuestion& q) {
  return q.record ? q.record->owner : q.half_made ? q.half_made->owner : q.node;
}

Decision decide_attach(const AttachQuestion& q) {
  if (Decision owner = about_cluster(q); owner.verdict == Verdict::refuse) return owner;
  std::optional<Decision> theirs;
  if (owner_of(q) != q.node) theirs = about_other_owner(q);
  if (theirs && theirs->verdict == Verdict::refuse) return *theirs;
  // A live mapping of ours stays a fact even when its header on the drive went bad or old meanwhile.
  if (std::optional<Decision> mapped = about_mappings(q))
    return theirs && mapped->verdict != Verdict::refuse ? *theirs : *mapped;
  if (Decision identity = about_identity(q); identity.verdict == Verdict::refuse) return identity;
  if (!q.copies.empty() && q.order == Order::automatic)
    return refuse(errc::duplicate_volume, "the same volume is also on " + paths(q.copies),
                  "Unplug the copy, or say which one counts: `volcryptctl attach " + q.drive.token.name + " --device " +
                      q.drive.device + "`.");
  if (theirs) return *theirs;
  if (q.promised && q.take_over != TakeOver::by_order)
    return refuse(errc::timed_out, "another node was told that it is gone here, and may be taking it over",
                  "It is tried again by itself, if that node leaves it; or say it again in a minute.");
  return {Verdict::attach, {}, {}, {}};
}

}  // namespace volcrypt::volumes
