// Detach and crypto-erase. Erase needs the drive: a wrapped DEK that stays on an absent drive is not gone. Order:
// mapping down, intent, header on the drive, then record and backup in one transaction that leaves a tombstone.
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"
#include "agent/volumes/traces.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

std::string identity_of(const std::vector<DriveFacts>& drives, const Candidate& drive) {
  for (const DriveFacts& facts : drives)
    if (facts.number == drive.number) return facts.identity;
  return "";
}

// A forgotten volume counts as no deleted one: its drive may still hold the wrapped key.
Error no_such_volume(const std::string& name, const PastOfName& past) {
  return Error(
      errc::no_such_volume,
      {"find volume", name,
       past.forgotten ? "It was forgotten, its drive not erased: plug the drive in and say `volcryptctl attach " +
                            name + " --device DEVICE` first."
                      : "`volcryptctl get volumes` lists those of this cluster."});
}

// Where the drive of that erase is now. Empty when no drive, or more than one away from its place, can be it.
std::optional<std::string> place_of(const std::vector<DriveFacts>& drives, const Intent& intent) {
  std::vector<std::string> places;
  for (const DriveFacts& facts : drives) {
    const bool fits = intent.record.bytes == 0 || facts.sectors * 512 == intent.record.bytes;
    if (intent.drive.empty() || facts.identity != intent.drive || !fits) continue;
    if (facts.device == intent.record.device_hint) return facts.device;
    places.push_back(facts.device);
  }
  if (places.size() != 1) return std::nullopt;
  return places.front();
}

}  // namespace

asio::awaitable<Outcome> VolumeService::detach(std::string name) {
  State& state = *state_;
  const cluster::VolumeRecord record = co_await state.record_named(name);
  const Locks::Held turn = co_await state.locks.lock(name);
  Outcome outcome;
  const std::vector<dm::Mapping> live = co_await state.mappings();
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    const auto do_detach = [mapped = mapping->name](Devices& d) { return d.detach(mapped); };
    outcome.changed = co_await state.on_device(dm::mapping_path(mapping->name), "unmap " + mapping->name,
                                               State::map_deadline, do_detach);
    runtime::log(runtime::Severity::notice, "detached by order", {{"volume", name}});
  }
  co_await state.detached_by_order.add(record.volume);
  state.note_success(name);
  outcome.volume = co_await state.view(name);
  co_return outcome;
}

asio::awaitable<dm::Changed> VolumeService::erase(std::string name, std::optional<Uuid> confirmed) {
  State& state = *state_;
  const Locks::Held turn = co_await state.locks.lock(name);
  const Snapshot known = co_await state.catalogue.look();
  if (known.named(name) == nullptr) {
    if (const Unreadable* unreadable = known.unreadable_named(name)) throw refusal(*unreadable);
    const PastOfName past = co_await state.catalogue.past_of(name);
    if (!past.erased || past.forgotten) throw no_such_volume(name, past);
    co_return dm::Changed::no;
  }
  const cluster::VolumeRecord record = *known.named(name);
  if (confirmed && *confirmed != record.volume)
    throw Error(errc::conflict, {"erase volume", name,
                                 "Another volume has that name by now, " + record.volume.str() +
                                     ". Look with `volcryptctl get volumes`, then try again."});
  if (record.owner != state.node.node)
    throw Error(errc::wrong_state,
                {"erase volume", name,
                 "Its owner is the node " + state.name_of_owner(record.owner) +
                     ": say it there. If its drive is here: `volcryptctl attach " + name + "` takes it over first."});
  const std::vector<dm::Mapping> live = co_await state.mappings();
  // The drive is fixed while the mapping still says which one it is.
  const std::optional<Candidate> drive = co_await state.drive_of(record);
  const Intent* begun = known.intent_named(name);
  if (!drive && (begun == nullptr || begun->verb != Intention::erase))
    throw Error(
        errc::device_unreadable,
        {"erase volume", name,
         "Its drive is not here, and erasing the records alone would leave the wrapped key on it. Plug it in."});
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    const auto do_detach = [mapped = mapping->name](Devices& d) { return d.detach(mapped); };
    co_await state.on_device(dm::mapping_path(mapping->name), "unmap " + mapping->name, State::map_deadline, do_detach);
  }
  if (!drive) {  // the header went in an earlier run that was cut off
    co_await state.settle_erase(*begun);
    co_return dm::Changed::yes;
  }
  const std::string device = drive->device;
  cluster::VolumeRecord where = record;
  where.device_hint = device;  // what is left after a crash may no longer tell the volume to udev
  const auto do_drives = [](Devices& d) { return d.drives(); };
  const std::vector<DriveFacts> drives =
      co_await state.on_device("udev", "ask udev for drives", State::look_deadline, do_drives);
  co_await state.catalogue.begin_erase(where, identity_of(drives, *drive));
  const auto do_erase = [device, volume = record.volume](Devices& d) { d.erase(device, volume); };
  co_await state.on_device(device, "erase " + device, State::erase_deadline, do_erase);
  co_await state.catalogue.erased(record);
  state.failures.erase(name);
  state.last_seen.erase(record.volume);
  co_await state.detached_by_order.remove(record.volume);
  runtime::log(runtime::Severity::notice, "deleted by order, its headers overwritten",
               {{"volume", name}, {"device", device}, {"uuid", record.volume.str()}});
  co_return dm::Changed::yes;
}

// Interrupted between intent and record. While the header opens, the volume lives on and the operator may say it again.
// A header that was half overwritten names the volume, and is overwritten to its end: parts of the wrapped DEK may
// still stand in it. Where nothing of it is left, it is gone only if this is the drive on which the erase began: its
// letter may be another drive's by now. An absent or ill drive, or one that may be another, leaves the question open.
asio::awaitable<void> VolumeService::State::settle_erase(Intent intent) {
  const cluster::VolumeRecord& record = intent.record;
  const std::optional<Candidate> drive = co_await drive_of(record);
  const auto do_drives = [](Devices& d) { return d.drives(); };
  const std::vector<DriveFacts> drives = co_await on_device("udev", "ask udev for drives", look_deadline, do_drives);
  const std::optional<std::string> begun_on = drive ? drive->device : place_of(drives, intent);
  const std::string device = begun_on.value_or(record.device_hint);
  std::optional<Error> unopened;
  try {
    const Sighting seen = co_await look(device);
    if (seen.token.volume == record.volume) {
      co_await catalogue.abandon(record);
      runtime::log(runtime::Severity::notice, "an interrupted delete had not begun on the drive; the volume is kept",
                   {{"volume", record.name}});
      co_return;
    }
  } catch (const Error& error) {
    unopened = error;
  }
  if (unopened && unopened->code() != errc::header_damaged && unopened->code() != errc::not_ours &&
      unopened->code() != errc::device_all_zero)
    throw *unopened;
  const HeaderArea area = co_await header_area(device);
  const Trace trace = trace_of(record.volume, area.content);
  if (trace == Trace::named) {
    const auto do_erase = [device, volume = record.volume](Devices& d) { d.erase(device, volume); };
    co_await on_device(device, "erase " + device, erase_deadline, do_erase);
  } else if (unopened && (trace == Trace::header || trace == Trace::damaged)) {
    throw *unopened;
  } else if (!begun_on) {
    throw Error(errc::device_unreadable,
                {"complete the delete of volume", record.name,
                 "It was cut off, and " + device +
                     " may be another drive by now: it shows nothing of that volume. Plug its drive in, or give it up "
                     "with `volcryptctl forget volume " +
                     record.name + "`."});
  }
  co_await catalogue.erased(record);
  runtime::log(runtime::Severity::notice, "an interrupted delete was completed", {{"volume", record.name}});
}

}  // namespace volcrypt::volumes
