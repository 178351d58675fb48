// Attach, by order and by itself: at start and on plug. Nothing in this file can format or erase.
#include <algorithm>

#include "agent/runtime/log.hpp"
#include "agent/volumes/parallel.hpp"
#include "agent/volumes/service_state.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

using runtime::Severity;

cluster::VolumeRecord record_of(const Sighting& drive, const Uuid& owner) {
  cluster::VolumeRecord record;
  record.volume = drive.token.volume;
  record.group = drive.token.group;
  record.owner = owner;
  record.name = drive.token.name;
  record.generation = drive.token.generation;
  record.device_hint = drive.device;
  record.bytes = drive.bytes;
  return record;
}

}  // namespace

asio::awaitable<Outcome> VolumeService::State::attach_drive(Sighting first, AttachWish wish) {
  // The name is not authenticated yet; it only says which volume's turn this is.
  const Locks::Held turn = co_await locks.lock(first.token.name);
  std::exception_ptr failure;
  std::optional<Failure> copies;
  dm::Changed changed = dm::Changed::no;
  try {
    const Sighting drive = co_await look(first.device);  // it may have been rewrapped while we waited
    if (drive.token.name != first.token.name || drive.token.volume != first.token.volume)
      throw Error(errc::conflict, {"attach", first.device, "Another volume came there meanwhile: try again."});
    changed = co_await attach_sighting(drive, wish);
    note_success(drive.token.name);
    co_await detached_by_order.remove(drive.token.volume);
    if (changed == dm::Changed::yes)
      runtime::log(Severity::info, "attached", {{"volume", drive.token.name}, {"device", drive.device}});
  } catch (const boost::system::system_error& error) {
    // A drive that is not ours to attach says nothing about the volume of that name.
    if (first.token.cluster == node.cluster && error.code() == errc::duplicate_volume)
      copies = Failure{errc_name(error.code()), error.what()};
    else if (first.token.cluster == node.cluster)
      note_failure(first.token.name, error);
    failure = std::current_exception();
  }
  if (copies) {  // nor does a copy beside the drive that is attached; but where none is, the volume waits for an order
    const std::vector<dm::Mapping> live = co_await mappings();
    if (mapping_of(live, first.token.volume) == nullptr) failures[first.token.name] = *copies;
  }
  if (failure) std::rethrow_exception(failure);
  Outcome outcome;
  outcome.changed = changed;
  outcome.volume = co_await view(first.token.name);
  co_return outcome;
}

asio::awaitable<dm::Changed> VolumeService::State::attach_sighting(Sighting drive, AttachWish wish) {
  // Until the catalogue knows it, or a scan sees it, only this tells a census that the generation is needed.
  const RetirementGate::Entered needed = co_await retirement.enter(drive.token.generation);
  const Handover::Attaching mark = co_await begin_attach(drive.token.volume);
  const Judged judged = co_await judge(drive, wish);
  const Decision& decision = judged.decision;
  if (decision.verdict == Verdict::refuse) throw refusal(decision, drive);
  dm::Changed changed = dm::Changed::no;
  if (decision.verdict == Verdict::already_attached) {
    co_await repair(drive, nullptr);
  } else {
    const auto key = std::make_shared<const Secret>(co_await unlock(drive.token));
    co_await repair(drive, key);
    const auto do_attach = [drive, key](Devices& d) { return d.attach(drive.device, drive.token, *key); };
    changed = co_await on_device(drive.device, "map " + drive.device, map_deadline, do_attach);
  }
  co_await catch_up(std::move(drive), judged.known, wish.order);
  co_return changed;
}

// The attach stands whatever happens here: with the store away, the catalogue learns of it at the next look.
asio::awaitable<void> VolumeService::State::catch_up(Sighting drive, Snapshot known, Order order) {
  const std::string name = drive.token.name;  // the drive is given away below
  try {
    const cluster::VolumeRecord seen = record_of(drive, node.node);
    const cluster::VolumeRecord* record = known.of(seen.volume);
    if (record != nullptr && record->owner != node.node) co_return;  // a restored header: its owner sees to it
    cluster::VolumeRecord current = record != nullptr ? *record : seen;
    if (record == nullptr) {
      if (known.freshness == Freshness::last_known) co_return;
      const Unreadable* unreadable = known.unreadable_named(seen.name);
      // What it says is unknown, perhaps a newer release's: not thrown away unasked.
      if (unreadable != nullptr && order == Order::automatic) throw refusal(*unreadable);
      const auto do_backup_header = [device = drive.device](Devices& d) { return d.backup_header(device); };
      Bytes header =
          co_await on_device(drive.device, "back up the header of " + drive.device, look_deadline, do_backup_header);
      co_await catalogue.created(seen, std::move(header), unreadable);
      runtime::log(Severity::notice, "a volume of this cluster that was not in the catalogue has been taken in",
                   {{"volume", seen.name}, {"device", drive.device}});
    } else if (known.freshness == Freshness::current &&
               (record->device_hint != seen.device_hint || record->bytes < seen.bytes)) {
      current.device_hint = seen.device_hint;
      current.bytes = std::max(record->bytes, seen.bytes);  // it grew; one that is smaller now may be cut, or ill
      co_await catalogue.moved(current);
    }
    if (known.freshness == Freshness::last_known) co_return;
    const EncryptionView now = co_await catalogue.encryption();
    const bool behind = drive.token.generation < now.state.current ||
                        (record != nullptr && record->generation != drive.token.generation);
    if (!behind) co_return;
    // It was away during a rotation. The volume's lock is held already: the caller's.
    const Generation to = std::max(now.state.current, drive.token.generation);
    co_await verify_and_record(co_await change_wrap(current, std::move(drive), to));
    caught_up();
    runtime::log(Severity::info, "a returning volume was rewrapped",
                 {{"volume", seen.name}, {"generation", std::to_string(to)}});
  } catch (const boost::system::system_error& error) {
    runtime::log(Severity::warning, "attached, but catalogue or key wrap could not be brought up to date, ignoring",
                 {{"volume", name}, {"cause", error.what()}});
  }
}

asio::awaitable<void> VolumeService::State::attach_quietly(std::string device) {
  try {
    Sighting first = co_await look(device);
    const AttachWish wish;
    (void)co_await attach_drive(std::move(first), wish);
    complaints.erase(device);
  } catch (const boost::system::system_error& error) {
    // Tried again every few seconds while some volume waits for a passing cause: only another answer is news.
    const Failure now{errc_name(error.code()), error.what()};
    if (std::exchange(complaints[device], now) == now) co_return;
    runtime::log(Severity::error, "cannot attach", {{"device", device}, {"error", now.kind}, {"cause", now.text}});
  }
}

asio::awaitable<void> VolumeService::State::attach_unread(Candidate drive, Snapshot known) {
  const cluster::VolumeRecord* record = drive.volume ? known.of(*drive.volume) : nullptr;
  if (record == nullptr || record->owner != node.node) co_return;  // whoever asks for this very device gets the reason
  const std::vector<dm::Mapping> live = co_await mappings();
  if (mapping_of(live, record->volume) != nullptr) co_return;
  try {
    (void)co_await look(drive.device);
  } catch (const boost::system::system_error& error) {
    const Failure now{errc_name(error.code()), error.what()};
    if (std::exchange(failures[record->name], now) == now) co_return;  // said before
    runtime::log(Severity::error, "cannot attach",
                 {{"volume", record->name}, {"device", drive.device}, {"error", now.kind}, {"cause", now.text}});
  }
}

asio::awaitable<void> VolumeService::State::attach_all() {
  if (node.cluster.is_nil()) co_return;
  std::vector<Candidate> unread = co_await scan();
  std::vector<Sighting> drives = co_await sight(unread);
  std::erase_if(unread, [&](const Candidate& candidate) {
    return std::any_of(drives.begin(), drives.end(),
                       [&](const Sighting& drive) { return drive.number == candidate.number; });
  });
  if (!unread.empty()) {
    const Snapshot known = co_await catalogue.look();
    co_await for_each_of(unread, [&](Candidate& drive) { return attach_unread(drive, known); });
  }
  const std::vector<dm::Mapping> live = co_await mappings();
  std::erase_if(drives, [&](const Sighting& drive) {
    const dm::Mapping* mapping = mapping_of(live, drive.token.volume);
    const bool done = mapping != nullptr && !mapping->is_leaving && drive.copies == dm::HeaderFacts::Copies::both_good;
    return done || detached_by_order.contains(drive.token.volume);
  });
  // All group keys are asked for at once, so that they are one TPM batch per generation; held until the drives are
  // done.
  std::set<std::pair<Generation, Uuid>> wanted;
  for (const Sighting& drive : drives)
    if (drive.token.cluster == node.cluster) wanted.insert({drive.token.generation, drive.token.group});
  std::vector<std::pair<std::pair<Generation, Uuid>, GroupKey>> keys_held;
  for (const auto& group : wanted) keys_held.push_back({group, nullptr});
  try {
    co_await for_each_of(keys_held, [&](auto& entry) { return fetch_key(entry.first, entry.second); });
  } catch (const boost::system::system_error&) {
    // Each drive asks again and gets the reason under its own name.
  }
  co_await for_each_of(drives, [&](Sighting& drive) { return attach_quietly(drive.device); });
}

asio::awaitable<void> VolumeService::State::fetch_key(std::pair<Generation, Uuid> group, GroupKey& into) {
  into = co_await unlocking.group_key(group.first, group.second);
}

asio::awaitable<Outcome> VolumeService::attach(std::string name, TakeOver take_over) {
  const cluster::VolumeRecord record = co_await state_->record_named(name);
  std::optional<Candidate> drive;
  std::optional<Error> failure;
  try {
    drive = co_await state_->drive_of(record);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure) {
    state_->note_failure(name, *failure);
    throw *failure;
  }
  if (!drive && record.owner != state_->node.node)
    throw Error(errc::device_unreadable,
                {"find the drive of volume", name,
                 "Its owner is the node " + state_->name_of_owner(record.owner) +
                     ": attach it there, or plug the drive in here. If it is here: name it with --device."});
  // udev may not know it yet (a drive that just came): its last place is a hint, what stands in its header decides.
  const std::string device = drive ? drive->device : record.device_hint;
  if (device.empty())
    throw Error(errc::device_unreadable, {"find the drive of volume", name, "Plug it in, or name it with --device."});
  Sighting seen = co_await state_->look(device);
  if (seen.token.volume != record.volume)
    throw Error(errc::device_unreadable,
                {"find the drive of volume", name, device + " now carries another volume. Plug the drive in."});
  const AttachWish wish{Order::automatic, take_over};
  co_return co_await state_->attach_drive(std::move(seen), wish);
}

asio::awaitable<Outcome> VolumeService::attach_from(std::string name, std::string device, TakeOver take_over) {
  Sighting seen = co_await state_->look(device);
  if (seen.token.name != name)
    throw Error(errc::invalid_argument,
                {"attach " + name + " from", device, "It carries volume " + seen.token.name + "."});
  const AttachWish wish{Order::this_drive, take_over};
  co_return co_await state_->attach_drive(std::move(seen), wish);
}

asio::awaitable<Outcome> VolumeService::attach_device(std::string device) {
  Sighting seen = co_await state_->look(device);
  const AttachWish wish;
  co_return co_await state_->attach_drive(std::move(seen), wish);
}

asio::awaitable<void> VolumeService::start() {
  co_await state_->detached_by_order.load();
  try {
    co_await state_->settle_intents();
    co_await state_->heal();
    co_await state_->attach_all();
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    runtime::log(Severity::error, "cannot look after the volumes",
                 {{"error", errc_name(error.code())}, {"cause", error.what()}});
  }
  state_->quiet_since = std::chrono::steady_clock::now();
  try {
    co_await state_->report_present();
  } catch (const Error& error) {
    runtime::log(Severity::warning, "cannot say which drives are left alone, ignoring", {{"cause", error.what()}});
  }
}

asio::awaitable<void> VolumeService::attach_missing() {
  try {
    co_await state_->attach_all();
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    runtime::log(Severity::error, "cannot look for volumes to attach",
                 {{"error", errc_name(error.code())}, {"cause", error.what()}});
  }
}

}  // namespace volcrypt::volumes
