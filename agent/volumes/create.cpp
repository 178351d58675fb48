// Create: the one verb that formats. Order: refusals, intent recorded, drive formatted, header backed up and volume
// recorded in one transaction, mapping made. A crash leaves an intent; settle_intents() then looks at the drive and
// ends it either way.
#include "agent/keys/dek_wrap.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/groups.hpp"
#include "agent/volumes/service_state.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

struct Made {
  cluster::VolumeRecord record;
  dm::Token token;
  std::shared_ptr<const Secret> key;
};

Error not_enabled() {
  return Error(errc::wrong_state, {"create", "a volume",
                                   "Cluster encryption is not enabled: run `volcryptctl enable cluster-encryption`."});
}

// Group choice and intent are one step for the whole node, or two creates could both take a group's last place.
asio::awaitable<Made> plan(VolumeService::State& state, CreateRequest request, dm::Description description) {
  const Locks::Held turn = co_await state.locks.lock(" plan");  // a blank: no volume has such a name
  const EncryptionView encryption = co_await state.catalogue.encryption();
  if (encryption.state.phase != cluster::EncryptionPhase::Enabled || encryption.state.current == 0) throw not_enabled();
  const Snapshot known = co_await state.catalogue.look();
  if (known.freshness == Freshness::last_known)
    throw Error(errc::wrong_state, {"create volume", request.name,
                                    "The cluster's store does not answer; volumes cannot be recorded now."});
  if (known.named(request.name) != nullptr)
    throw Error(errc::name_taken, {"create volume", request.name, "The catalogue has a volume of that name."});
  if (known.intent_named(request.name) != nullptr)
    throw Error(errc::name_taken, {"create volume", request.name,
                                   "An earlier create or delete of that name is not settled: plug its drive in."});

  std::vector<cluster::VolumeRecord> counted = known.volumes;
  for (const Intent& intent : known.intents)
    if (intent.verb == Intention::create) counted.push_back(intent.record);
  Made made;
  made.token.cluster = state.node.cluster;
  made.token.group = group_with_room(counted, state.node.node).value_or(Uuid::random());
  made.token.volume = Uuid::random();
  made.token.name = request.name;
  made.token.generation = encryption.state.current;
  made.token.description = description;
  const Secret dek = Secret::random(volume_key_size);
  const GroupKey group_key = co_await state.unlocking.group_key(made.token.generation, made.token.group);
  keys::wrap(made.token, *group_key, dek);
  made.key = std::make_shared<const Secret>(dek.clone());

  made.record.volume = made.token.volume;
  made.record.group = made.token.group;
  made.record.owner = state.node.node;
  made.record.name = request.name;
  made.record.generation = made.token.generation;
  made.record.device_hint = request.device;
  // Against the encryption state as we read it: a rotation in between would leave a volume that no census had counted.
  const Intent intent{Intention::create, made.record};
  co_await state.catalogue.begin(intent, encryption.revision);
  co_return made;
}

}  // namespace

asio::awaitable<Outcome> VolumeService::create(CreateRequest request) {
  State& state = *state_;
  dm::check_volume_name(request.name);
  if (state.node.cluster.is_nil()) throw not_enabled();
  const Locks::Held turn = co_await state.locks.lock(request.name);
  const auto do_describe = [request](Devices& d) { return d.describe(request.device, request.discards); };
  const dm::Description description =
      co_await state.on_device("look at " + request.device, State::look_deadline, do_describe);
  const auto do_check_formattable = [request](Devices& d) { d.check_formattable(request.device, request.existing); };
  co_await state.on_device("check that " + request.device + " may be formatted", State::look_deadline,
                           do_check_formattable);
  const std::vector<dm::Mapping> live = co_await state.mappings();
  for (const dm::Mapping& mapping : live)
    if (mapping.name == request.name)
      throw Error(errc::name_taken,
                  {"create volume", request.name, "/dev/mapper/" + request.name + " exists already."});

  Made made;
  for (int attempt = 1;; ++attempt) {
    try {
      made = co_await plan(state, request, description);
      break;
    } catch (const Error& error) {
      if (error.code() != errc::conflict || attempt == 3) throw;  // a rotation step came in between: look again
    }
  }

  std::optional<Error> failure;
  try {
    const auto do_create = [request, made](Devices& d) {
      d.create(request.device, made.token, *made.key, request.existing);
    };
    co_await state.on_device("format " + request.device, State::format_deadline, do_create);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure) {
    // Unknown outcomes keep the intent; the next start looks at the drive.
    if (failure->code() != errc::unknown_outcome && failure->code() != errc::timed_out)
      co_await state.catalogue.abandon(request.name);
    throw *failure;
  }
  const Sighting seen = co_await state.look(request.device);
  made.record.device_hint = seen.device;
  made.record.bytes = seen.bytes;
  const auto do_backup_header = [device = seen.device](Devices& d) { return d.backup_header(device); };
  Bytes header =
      co_await state.on_device("back up the header of " + seen.device, State::look_deadline, do_backup_header);
  co_await state.catalogue.created(made.record, std::move(header));
  Outcome outcome;
  outcome.changed = dm::Changed::yes;
  try {
    const auto do_attach = [device = seen.device, key = made.key](Devices& d) { return d.attach(device, *key); };
    co_await state.on_device("map " + seen.device, State::map_deadline, do_attach);
    state.note_success(request.name);
  } catch (const Error& error) {  // the volume exists and is whole: the view says what is missing
    state.note_failure(request.name, error);
  }
  outcome.volume = co_await state.view(request.name);
  co_return outcome;
}

asio::awaitable<void> VolumeService::State::settle_intents() {
  const Snapshot known = co_await catalogue.look();
  if (known.freshness == Freshness::last_known) co_return;
  for (const Intent& intent : known.intents) {
    if (intent.record.owner != node.node) continue;
    try {
      if (intent.verb == Intention::create) {
        co_await settle_create(intent);
      } else {
        co_await settle_erase(intent);
      }
    } catch (const boost::system::system_error& error) {
      note_failure(intent.record.name, error);
      runtime::log(runtime::Severity::warning,
                   "an interrupted create or delete cannot be settled now, ignoring it until the next start",
                   {{"volume", intent.record.name}, {"cause", error.what()}});
    }
  }
}

// Interrupted between the intent and the record. The drive says which it is: a header that opens with our keys is the
// volume; a drive without it is none. A drive that is away or ill leaves the question open.
asio::awaitable<void> VolumeService::State::settle_create(Intent intent) {
  const Locks::Held turn = co_await locks.lock(intent.record.name);
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
    co_await catalogue.abandon(record.name);
    runtime::log(runtime::Severity::notice, "an interrupted create left no volume and was taken back",
                 {{"volume", record.name}, {"device", record.device_hint}});
    co_return;
  }
  const Secret key = co_await unlock(seen->token);  // proves it before it counts
  record.generation = seen->token.generation;
  record.device_hint = seen->device;
  record.bytes = seen->bytes;
  const auto do_backup_header = [device = seen->device](Devices& d) { return d.backup_header(device); };
  Bytes header = co_await on_device("back up the header of " + seen->device, look_deadline, do_backup_header);
  co_await catalogue.created(record, std::move(header));
  runtime::log(runtime::Severity::notice, "an interrupted create was completed",
               {{"volume", record.name}, {"device", seen->device}});
}

}  // namespace volcrypt::volumes
