// Rewrap: the DEK of each volume under a new generation. Per volume: old wrap opened, new wrap made, one header write,
// then a cold check (header read again from the drive, key derived again by the KekStore, DEK compared and verified
// against the volume key's digest), and only then backup and record. Until that transaction the old generation stays
// needed and the old header stays in the backup. A live mapping is never touched and never trusted as evidence.
#include <algorithm>

#include "agent/keys/dek_wrap.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/parallel.hpp"
#include "agent/volumes/service_state.hpp"

namespace volcrypt::volumes {

struct Rewrapped {
  cluster::VolumeRecord record;
  dm::Token before, after;
  std::string device;
  std::shared_ptr<const Secret> dek;
  std::optional<Locks::Held> turn;
};

asio::awaitable<std::shared_ptr<Rewrapped>> VolumeService::State::change_wrap(cluster::VolumeRecord record,
                                                                              Sighting drive, Generation to) {
  if (drive.token.volume != record.volume || drive.token.cluster != node.cluster)
    throw Error(errc::header_changed, {"rewrap volume", record.name, drive.device + " carries another volume now."});
  auto work = std::make_shared<Rewrapped>();
  work->record = std::move(record);
  work->before = work->after = drive.token;
  work->device = drive.device;
  work->dek = std::make_shared<const Secret>(co_await unlock(drive.token));
  co_await repair(drive, work->dek);                 // no header is written while it stands on one copy
  if (drive.token.generation >= to) co_return work;  // written by a run that was cut off: check and record it
  work->after.generation = to;
  const GroupKey key = co_await key_to_wrap(to, work->after.group);
  keys::wrap(work->after, *key, *work->dek);
  const auto do_rewrap = [device = work->device, token = work->after](Devices& d) { return d.rewrap(device, token); };
  co_await on_device(work->device, "rewrap " + work->device, map_deadline, do_rewrap);
  co_return work;
}

// The old wrap is known to open, the new one is not. Where this fails, the header backup still has the old wrap.
asio::awaitable<void> VolumeService::State::put_back(const Rewrapped& work) {
  const auto do_take_back = [device = work.device, change = dm::Rewrap{work.before, work.after}](Devices& d) {
    return d.take_back(device, change);
  };
  try {
    co_await on_device(work.device, "put back the old wrap on " + work.device, map_deadline, do_take_back);
  } catch (const Error& error) {
    runtime::log(runtime::Severity::warning, "the old wrap of a volume could not be put back, ignoring",
                 {{"volume", work.record.name}, {"device", work.device}, {"cause", error.what()}});
  }
}

asio::awaitable<void> VolumeService::State::verify_and_record(std::shared_ptr<Rewrapped> work) {
  std::optional<Error> failure;  // the cause that is told, whatever becomes of the old wrap
  try {
    const Sighting now = co_await look(work->device);
    if (now.token != work->after)
      throw Error(errc::unknown_outcome,
                  {"verify the new wrap of volume", work->record.name, "The drive returned another token."});
    const auto dek = std::make_shared<const Secret>(co_await unlock(now.token));
    if (!equals(*dek, *work->dek))
      throw Error(errc::wrong_key, {"verify the new wrap of volume", work->record.name, ""});
    const auto do_verify_key = [device = work->device, dek](Devices& d) { d.verify_key(device, *dek); };
    co_await on_device(work->device, "verify the key of " + work->device, look_deadline, do_verify_key);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure) {
    if (work->before != work->after) co_await put_back(*work);
    throw *failure;
  }
  const auto do_backup_header = [device = work->device](Devices& d) { return d.backup_header(device); };
  Bytes header =
      co_await on_device(work->device, "back up the header of " + work->device, look_deadline, do_backup_header);
  work->record.generation = work->after.generation;
  work->record.device_hint = work->device;
  co_await catalogue.changed(work->record, std::move(header));
  if (work->before != work->after) ++tally.rewraps;
}

// False: its drive is away, which leaves the question open.
asio::awaitable<bool> VolumeService::State::settle_cut_off(std::string name) {
  try {
    co_await settle_intent(std::move(name));
  } catch (const Error& error) {
    if (error.code() != errc::device_unreadable) throw;
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> VolumeService::State::begin_rewrap(cluster::VolumeRecord listed, Generation to,
                                                         std::vector<std::shared_ptr<Rewrapped>>& into) {
  try {
    Locks::Held turn = co_await locks.lock(listed.name);
    std::optional<cluster::VolumeRecord> record = co_await catalogue.record(listed.name);
    if (!record) {  // a create that was cut off: its intent would keep an old generation, and its header may stand
      if (!co_await settle_cut_off(listed.name)) {
        ++progress.absent;
        co_return;
      }
      record = co_await catalogue.record(listed.name);
    }
    // Deleted meanwhile, a create that left nothing, or taken over by another node: then that one rewraps it.
    if (!record || record->volume != listed.volume || record->owner != node.node) {
      ++progress.done;
      co_return;
    }
    const std::optional<Candidate> drive = co_await drive_of(*record);
    if (!drive) {
      ++progress.absent;
      co_return;
    }
    Sighting seen = co_await look(drive->device);
    if (seen.token.generation >= to && record->generation == seen.token.generation) {
      ++progress.done;
      co_return;
    }
    std::shared_ptr<Rewrapped> work = co_await change_wrap(*record, std::move(seen), to);
    work->turn.emplace(std::move(turn));
    into.push_back(std::move(work));
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    progress.failures.push_back("volume " + listed.name + ": " + error.what());
  }
}

asio::awaitable<void> VolumeService::State::finish_rewrap(std::shared_ptr<Rewrapped> work) {
  try {
    co_await verify_and_record(work);
    ++progress.done;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    progress.failures.push_back("volume " + work->record.name + ": " + error.what());
  }
  work->turn.reset();
}

asio::awaitable<void> VolumeService::State::rewrap_group(std::vector<cluster::VolumeRecord> records, Generation to) {
  // Held while the group is worked on: one TPM operation for the old key, one for the new.
  std::vector<std::pair<std::pair<Generation, Uuid>, GroupKey>> held_keys;
  std::set<Generation> from;
  for (const cluster::VolumeRecord& record : records) from.insert(record.generation);
  for (const Generation generation : from) held_keys.push_back({{generation, records.front().group}, nullptr});
  GroupKey new_key;
  try {
    co_await for_each_of(held_keys, [&](auto& entry) { return fetch_key(entry.first, entry.second); });
    new_key = co_await key_to_wrap(to, records.front().group);
  } catch (const boost::system::system_error&) {
    // Each volume asks again and names the reason as its own failure.
  }
  std::vector<std::shared_ptr<Rewrapped>> changed;
  co_await for_each_of(records, [&](cluster::VolumeRecord& record) { return begin_rewrap(record, to, changed); });
  held_keys.clear();  // the check below must derive the new key again, or it would only confirm what is in memory
  new_key.reset();
  const std::pair<Generation, Uuid> wrapped_by{to, records.front().group};
  try {  // and held for the group: volumes end at different times, and each would derive it for itself
    if (!changed.empty()) co_await fetch_key(wrapped_by, new_key);
  } catch (const boost::system::system_error&) {
    // Each volume asks again and names the reason as its own failure.
  }
  co_await for_each_of(changed, [&](std::shared_ptr<Rewrapped>& work) { return finish_rewrap(work); });
}

asio::awaitable<cluster::RewrapProgress> VolumeService::rewrap_all(Generation to) {
  State& state = *state_;
  const Locks::Held turn = co_await state.locks.lock(" rewrap");
  const Snapshot known = co_await state.catalogue.look();
  if (known.freshness == Freshness::last_known)
    throw Error(errc::wrong_state, {"rewrap", "the volumes of this node", "The cluster's store does not answer."});
  std::map<Uuid, std::vector<cluster::VolumeRecord>> groups;
  state.progress = {};
  const auto add = [&](const cluster::VolumeRecord& record) {
    if (record.owner != state.node.node) return;
    ++state.progress.total;
    groups[record.group].push_back(record);
  };
  for (const cluster::VolumeRecord& record : known.volumes) add(record);
  for (const Intent& intent : known.intents)  // waits for the create that is under way
    if (intent.verb == Intention::create) add(intent.record);
  for (const Unreadable& entry : known.unreadable)
    if (!entry.name().empty()) {
      ++state.progress.total;
      state.progress.failures.push_back("volume " + entry.name() + ": " + refusal(entry).what());
    }
  for (auto& [group, records] : groups) co_await state.rewrap_group(std::move(records), to);
  co_return state.progress;
}

cluster::RewrapProgress VolumeService::rewrap_progress() const { return state_->progress; }

RetirementGate::Closed VolumeService::close_to_attach(Generation generation) {
  if (state_->retirement.is_closed(generation))
    throw Error(errc::wrong_state, {"retire", "KEK generation " + std::to_string(generation), "It is under way."});
  return state_->retirement.close(generation);
}

asio::awaitable<std::set<Generation>> VolumeService::census() {
  State& state = *state_;
  std::set<Generation> used = state.retirement.inside();
  const Snapshot known = co_await state.catalogue.look();
  if (known.freshness == Freshness::last_known)
    throw Error(errc::wrong_state, {"count", "the generations in use", "The cluster's store does not answer."});
  if (known.may_need_any_generation()) {
    const EncryptionView encryption = co_await state.catalogue.encryption();
    used.insert(encryption.state.previous.begin(), encryption.state.previous.end());
    used.insert(encryption.state.retiring.begin(), encryption.state.retiring.end());
    if (encryption.state.current != 0) used.insert(encryption.state.current);
  }
  for (const cluster::VolumeRecord& record : known.volumes)
    if (record.owner == state.node.node) used.insert(record.generation);
  for (const Intent& intent : known.intents)
    if (intent.record.owner == state.node.node) used.insert(intent.record.generation);
  // Headers add to what the catalogue says, they never take away from it. A second copy of a catalogued volume does not
  // count: it is refused anyway, and left plugged in it would keep a generation alive for ever.
  const std::vector<Sighting> drives = co_await state.sight(co_await state.scan());
  for (const Sighting& drive : drives) {
    if (drive.token.cluster != state.node.cluster || known.erased.contains(drive.token.volume)) continue;
    const cluster::VolumeRecord* record = known.of(drive.token.volume);
    const auto copies = std::count_if(drives.begin(), drives.end(),
                                      [&](const Sighting& other) { return other.token.volume == drive.token.volume; });
    // Nobody but who sees its drive looks at the header of a removed node's volume.
    const bool orphan = record != nullptr && record->owner != state.node.node && state.others != nullptr &&
                        state.others->name_of(record->owner).empty();
    if (record == nullptr || orphan || (record->owner == state.node.node && copies == 1))
      used.insert(drive.token.generation);
  }
  co_return used;
}

}  // namespace volcrypt::volumes
