// Forget: a volume whose drive is gone for good leaves the catalogue, so that its KEK generation is needed no more. The
// drive is not touched, so it is no erasure: until that generation is retired the drive, should it return, opens.
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"
#include "agent/volumes/traces.hpp"

namespace volcrypt::volumes {

namespace {

Error refuse(const std::string& name, errc cause, std::string why) {
  return Error(cause, {"forget volume", name, std::move(why) + " Nothing was changed."});
}

std::string delete_volume(const std::string& name) { return "`volcryptctl delete volume " + name + "`"; }

// Its place may show it where udev does not: a drive that just came, or one whose header was damaged, which the backup
// in the catalogue would bring back.
asio::awaitable<void> check_last_place(VolumeService::State& state, cluster::VolumeRecord record) {
  if (record.device_hint.empty()) co_return;
  Trace trace = Trace::none;
  try {
    const HeaderArea area = co_await state.header_area(record.device_hint);
    trace = trace_of(record.volume, area.content);
  } catch (const Error&) {
    // away or ill, as it is when it is gone for good
  }
  if (trace == Trace::header)
    throw refuse(record.name, errc::wrong_state,
                 "Its drive is here, on " + record.device_hint + ": use " + delete_volume(record.name) + ".");
  if (trace == Trace::named || trace == Trace::damaged)
    throw refuse(record.name, errc::wrong_state,
                 "The drive on " + record.device_hint +
                     " has a damaged header, which may be this volume's: put it back with `volcryptctl header "
                     "restore " +
                     record.name + " --device " + record.device_hint + "`, or pull that drive out.");
}

asio::awaitable<void> check_gone(VolumeService::State& state, cluster::VolumeRecord record) {
  const std::vector<dm::Mapping> live = co_await state.mappings();
  if (mapping_of(live, record.volume) != nullptr)
    throw refuse(record.name, errc::wrong_state,
                 "It is attached. Detach it, then use " + delete_volume(record.name) + ".");
  const std::vector<Candidate> candidates = co_await state.scan();
  for (const Candidate& candidate : candidates)
    if (candidate.volume == record.volume)
      throw refuse(record.name, errc::wrong_state,
                   "Its drive is here, on " + candidate.device + ": use " + delete_volume(record.name) + ".");
  co_await check_last_place(state, record);
}

// Of this node, or of one that was removed: that one is asked no more, and nobody else would ever give it up. The
// revision of the membership document that says so.
asio::awaitable<std::optional<cluster::Revision>> check_owner(VolumeService::State& state,
                                                              cluster::VolumeRecord record) {
  if (record.owner == state.node.node) co_return std::nullopt;
  if (state.others == nullptr)
    throw refuse(record.name, errc::wrong_state, "Its owner is the node " + record.owner.str() + ": say it there.");
  const MembersNow members = co_await state.others->members();
  const auto owner = members.names.find(record.owner);
  if (owner != members.names.end())
    throw refuse(record.name, errc::wrong_state,
                 "Its owner is the node " + owner->second + ", a member of this cluster: say it there.");
  co_return members.revision;
}

// The same where only the name is known.
asio::awaitable<void> check_nowhere(VolumeService::State& state, std::string name) {
  const std::vector<dm::Mapping> live = co_await state.mappings();
  for (const dm::Mapping& mapping : live)
    if (mapping.name == name) throw refuse(name, errc::wrong_state, "It is attached. Detach it first.");
  std::vector<Candidate> candidates = co_await state.scan();
  const std::vector<Sighting> drives = co_await state.sight(std::move(candidates));
  for (const Sighting& drive : drives)
    if (drive.token.name == name && drive.token.cluster == state.node.cluster)
      throw refuse(
          name, errc::wrong_state,
          "Its drive is here: `volcryptctl attach " + name + " --device " + drive.device + "` writes its record anew.");
}

}  // namespace

asio::awaitable<dm::Changed> VolumeService::forget(std::string name) {
  State& state = *state_;
  const Locks::Held turn = co_await state.locks.lock(name);
  const Snapshot known = co_await state.catalogue.look();
  if (known.freshness == Freshness::last_known)
    throw refuse(name, errc::wrong_state, "The cluster's store does not answer.");
  const Unreadable* unreadable = known.unreadable_named(name);
  const cluster::VolumeRecord* found = known.named(name);
  if (found == nullptr && unreadable != nullptr && known.intent_named(name) == nullptr) {
    co_await check_nowhere(state, name);
    co_await state.catalogue.forgotten(*unreadable);
    runtime::log(runtime::Severity::notice, "a volume whose record could not be read was forgotten by order",
                 {{"volume", name}, {"entry", unreadable->key}});
    state.caught_up();
    co_return dm::Changed::yes;
  }
  // A create whose drive went away half-made has an intent alone.
  if (const Intent* intent = known.intent_named(name); found == nullptr && intent != nullptr) found = &intent->record;
  if (found == nullptr) {
    const PastOfName past = co_await state.catalogue.past_of(name);
    if (past.erased || past.forgotten) co_return dm::Changed::no;
    throw Error(errc::no_such_volume, {"find volume", name, "`volcryptctl get volumes` lists those of this cluster."});
  }
  const cluster::VolumeRecord record = *found;
  const std::optional<cluster::Revision> members = co_await check_owner(state, record);
  co_await check_gone(state, record);
  co_await state.catalogue.forgotten(record, members);
  state.failures.erase(name);
  state.last_seen.erase(record.volume);
  co_await state.detached_by_order.remove(record.volume);
  runtime::log(runtime::Severity::notice, "a volume was forgotten by order",
               {{"volume", name}, {"uuid", record.volume.str()}, {"generation", std::to_string(record.generation)}});
  state.caught_up();  // a rotation may have waited for this one alone
  co_return dm::Changed::yes;
}

}  // namespace volcrypt::volumes
