// What a create or delete leaves when it is cut off: an intent in the catalogue. It is settled by a look at the drive:
// at start, when the verb is said again, and in every rewrap, so that it holds no rotation up for longer than its drive
// is away. Nothing here writes a header.
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"

namespace volcrypt::volumes {

asio::awaitable<void> VolumeService::State::settle_intents() {
  const Snapshot known = co_await catalogue.look();
  if (known.freshness == Freshness::last_known) co_return;
  for (const Intent& intent : known.intents) {
    if (intent.record.owner != node.node) continue;
    try {
      const Locks::Held turn = co_await locks.lock(intent.record.name);
      co_await settle_intent(intent.record.name);
    } catch (const boost::system::system_error& error) {
      note_failure(intent.record.name, error);
      runtime::log(runtime::Severity::warning, "an interrupted create or delete cannot be settled now, ignoring",
                   {{"volume", intent.record.name}, {"cause", error.what()}});
    }
  }
}

// Read again under the lock: a create or delete that was under way may have ended while we waited for it.
asio::awaitable<void> VolumeService::State::settle_intent(std::string name) {
  const std::optional<Intent> intent = co_await catalogue.intent(name);
  if (!intent || intent->record.owner != node.node) co_return;
  if (intent->verb == Intention::create) {
    co_await settle_create(*intent);
  } else {
    co_await settle_erase(*intent);
  }
}

// Interrupted between the intent and the record. The drive says which it is: a header that opens with our keys is the
// volume; a drive without it is none. A drive that is away or ill leaves the question open.
asio::awaitable<void> VolumeService::State::settle_create(Intent intent) {
  cluster::VolumeRecord record = intent.record;
  std::optional<Sighting> seen;
  const std::optional<Candidate> drive = co_await drive_of(record);
  try {
    seen = co_await look(drive ? drive->device : record.device_hint);
  } catch (const Error& error) {
    // The header was never finished: no data can have been written behind it.
    const bool unfinished =
        error.code() == errc::not_ours || error.code() == errc::header_damaged || error.code() == errc::device_all_zero;
    if (!unfinished) throw;
  }
  if (!seen || seen->token.volume != record.volume) {
    co_await catalogue.abandon(record);
    runtime::log(runtime::Severity::notice, "an interrupted create left no volume and was taken back",
                 {{"volume", record.name}, {"device", record.device_hint}});
    co_return;
  }
  const auto key = std::make_shared<const Secret>(co_await unlock(seen->token));  // proves it before it counts
  co_await repair(*seen, key);
  record.generation = seen->token.generation;
  record.device_hint = seen->device;
  record.bytes = seen->bytes;
  const auto do_backup_header = [device = seen->device](Devices& d) { return d.backup_header(device); };
  Bytes header =
      co_await on_device(seen->device, "back up the header of " + seen->device, look_deadline, do_backup_header);
  co_await catalogue.created(record, std::move(header));
  runtime::log(runtime::Severity::notice, "an interrupted create was completed",
               {{"volume", record.name}, {"device", seen->device}});
}

}  // namespace volcrypt::volumes
