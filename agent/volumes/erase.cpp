// Detach and crypto-erase. Erase needs the drive: a wrapped DEK that stays on an absent drive is not gone. Order:
// mapping down, intent, header on the drive, then record and backup in one transaction that leaves a tombstone.
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"

namespace volcrypt::volumes {

asio::awaitable<Outcome> VolumeService::detach(std::string name) {
  State& state = *state_;
  const cluster::VolumeRecord record = co_await state.record_named(name);
  const Locks::Held turn = co_await state.locks.lock(name);
  Outcome outcome;
  const std::vector<dm::Mapping> live = co_await state.mappings();
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    const auto do_detach = [mapped = mapping->name](Devices& d) { return d.detach(mapped); };
    outcome.changed = co_await state.on_device("unmap " + mapping->name, State::map_deadline, do_detach);
  }
  state.detached_by_order.insert(name);
  state.note_success(name);
  outcome.volume = co_await state.view(name);
  co_return outcome;
}

asio::awaitable<void> VolumeService::erase(std::string name) {
  State& state = *state_;
  const cluster::VolumeRecord record = co_await state.record_named(name);
  const Locks::Held turn = co_await state.locks.lock(name);
  const std::vector<dm::Mapping> live = co_await state.mappings();
  // The drive is fixed while the mapping still says which one it is.
  const std::optional<Candidate> drive = co_await state.drive_of(record);
  const Snapshot known = co_await state.catalogue.look();
  const Intent* begun = known.intent_named(name);
  if (!drive && (begun == nullptr || begun->verb != Intention::erase))
    throw Error(
        errc::device_unreadable,
        {"erase volume", name,
         "Its drive is not here, and erasing the records alone would leave the wrapped key on it. Plug it in."});
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    const auto do_detach = [mapped = mapping->name](Devices& d) { return d.detach(mapped); };
    co_await state.on_device("unmap " + mapping->name, State::map_deadline, do_detach);
  }
  if (!drive) {  // the header went in an earlier run that was cut off
    co_await state.settle_erase(*begun);
    co_return;
  }
  const std::string device = drive->device;
  cluster::VolumeRecord where = record;
  where.device_hint = device;  // what is left after a crash may no longer tell the volume to udev
  co_await state.catalogue.begin_erase(where);
  const auto do_erase = [device, volume = record.volume](Devices& d) { d.erase(device, volume); };
  co_await state.on_device("erase " + device, State::erase_deadline, do_erase);
  co_await state.catalogue.erased(record);
  state.failures.erase(name);
  state.last_seen.erase(record.volume);
  state.detached_by_order.erase(name);
}

// Interrupted between intent and record. While the header opens, the volume lives on and the operator may say it again.
// A header that was half overwritten is overwritten to its end: parts of the wrapped DEK may still stand in it. Then
// the records follow. An absent or ill drive leaves the question open.
asio::awaitable<void> VolumeService::State::settle_erase(Intent intent) {
  const cluster::VolumeRecord& record = intent.record;
  const std::optional<Candidate> drive = co_await drive_of(record);
  const std::string device = drive ? drive->device : record.device_hint;
  std::optional<Error> unopened;
  try {
    const Sighting seen = co_await look(device);
    if (seen.token.volume == record.volume) {
      co_await catalogue.abandon(record.name);
      runtime::log(runtime::Severity::notice, "an interrupted delete had not begun on the drive; the volume is kept",
                   {{"volume", record.name}});
      co_return;
    }
  } catch (const Error& error) {
    unopened = error;
  }
  if (unopened && unopened->code() == errc::header_damaged) {
    const auto do_erase = [device, volume = record.volume](Devices& d) { d.erase(device, volume); };
    co_await on_device("erase " + device, erase_deadline, do_erase);
  } else if (unopened && unopened->code() != errc::not_ours && unopened->code() != errc::device_all_zero) {
    throw *unopened;
  }
  co_await catalogue.erased(record);
  runtime::log(runtime::Severity::notice, "an interrupted delete was completed", {{"volume", record.name}});
}

}  // namespace volcrypt::volumes
