// Create: the one verb that formats. Order: refusals, intent recorded, drive formatted, header backed up and volume
// recorded in one transaction, mapping made. A crash or a failure may leave an intent, see intents.cpp.
#include <algorithm>

#include "agent/keys/dek_wrap.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/groups.hpp"
#include "agent/volumes/service_state.hpp"
#include "agent/volumes/traces.hpp"
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

// A rotation changes the encryption state some six times; each may come between a look and an intent.
constexpr int most_looks = 12;

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
    throw Error(
        errc::name_taken,
        {"create volume", request.name,
         "An earlier create or delete of that name is not settled: plug its drive in, or give the volume up with "
         "`volcryptctl forget volume " +
             request.name + "`."});

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
  const GroupKey group_key = co_await state.key_to_wrap(made.token.generation, made.token.group);
  keys::wrap(made.token, *group_key, dek);
  made.key = std::make_shared<const Secret>(dek.clone());

  made.record.volume = made.token.volume;
  made.record.group = made.token.group;
  made.record.owner = state.node.node;
  made.record.name = request.name;
  made.record.generation = made.token.generation;
  made.record.device_hint = request.device;
  // Against the encryption state as we read it, and before the header is written: so the generation in the header is
  // current when the intent begins to count, and every rewrap and census of a later rotation sees the intent.
  const Intent intent{Intention::create, made.record};
  co_await state.catalogue.begin(intent, encryption.revision);
  co_return made;
}

// An earlier create of that name was cut off. It is settled first; said again for the same drive, it is this one.
asio::awaitable<std::optional<Outcome>> resume(VolumeService::State& state, CreateRequest request) {
  const std::optional<Intent> intent = co_await state.catalogue.intent(request.name);
  if (!intent || intent->verb != Intention::create || intent->record.owner != state.node.node) co_return std::nullopt;
  std::optional<Sighting> seen;
  try {
    co_await state.settle_intent(request.name);
    seen = co_await state.look(request.device);
  } catch (const Error&) {
    co_return std::nullopt;  // not settled, or on another drive: what follows refuses and says the way out
  }
  const std::optional<cluster::VolumeRecord> record = co_await state.catalogue.record(request.name);
  if (!record || record->volume != intent->record.volume || seen->token.volume != record->volume)
    co_return std::nullopt;
  const AttachWish wish;
  (void)co_await state.attach_sighting(std::move(*seen), wish);
  state.note_success(request.name);
  Outcome outcome;
  outcome.changed = dm::Changed::yes;
  outcome.volume = co_await state.view(request.name);
  co_return outcome;
}

// A drive whose header is damaged, or reads zeros on an ill path, is blank or somebody's data to dmtarget. The
// catalogue knows better: it may be the drive of a volume that is missed, which `header restore` brings back
// (longhorn#13668).
asio::awaitable<void> check_not_missed(VolumeService::State& state, std::string device) {
  const HeaderArea area = co_await state.header_area(device);
  const Snapshot known = co_await state.catalogue.look();
  const std::vector<dm::Mapping> live = co_await state.mappings();
  const std::vector<Candidate> candidates = co_await state.scan();
  for (const cluster::VolumeRecord& record : known.volumes) {
    const Trace trace = trace_of(record.volume, area.content);
    const bool absent = mapping_of(live, record.volume) == nullptr &&
                        std::none_of(candidates.begin(), candidates.end(),
                                     [&](const Candidate& candidate) { return candidate.volume == record.volume; });
    // A drive of another size is another drive.
    const bool last_place = absent && record.owner == state.node.node && record.device_hint == area.device &&
                            (record.bytes == 0 || record.bytes == area.bytes);
    if (trace != Trace::named && !(last_place && (trace == Trace::damaged || trace == Trace::zeros))) continue;
    const std::string finding = trace == Trace::zeros
                                    ? "It is where volume " + record.name +
                                          " was last, whose drive is missed: its header may be lost, or this path ill."
                                    : "It carries what is left of the header of volume " + record.name + ".";
    throw Error(errc::device_not_blank,
                {"create a volume on", device,
                 finding + " Put it back with `volcryptctl header restore " + record.name + " --device " + device +
                     "` (and use `volcryptctl delete volume " + record.name +
                     "` then, if it is not needed). If its drive is gone for good: `volcryptctl forget volume " +
                     record.name + "`. Nothing was changed."});
  }
}

}  // namespace

asio::awaitable<Outcome> VolumeService::create(CreateRequest request) {
  State& state = *state_;
  dm::check_volume_name(request.name);
  if (state.node.cluster.is_nil()) throw not_enabled();
  const Locks::Held turn = co_await state.locks.lock(request.name);
  const Snapshot known = co_await state.catalogue.look();
  if (const Unreadable* unreadable = known.unreadable_named(request.name)) throw refusal(*unreadable);
  if (std::optional<Outcome> earlier = co_await resume(state, request)) co_return std::move(*earlier);
  const auto do_describe = [request](Devices& d) { return d.describe(request.device, request.discards); };
  const dm::Description description =
      co_await state.on_device(request.device, "look at " + request.device, State::look_deadline, do_describe);
  co_await check_not_missed(state, request.device);
  const auto do_check_formattable = [request](Devices& d) { d.check_formattable(request.device, request.existing); };
  co_await state.on_device(request.device, "check that " + request.device + " may be formatted", State::look_deadline,
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
      // A rotation step came in between, or a whole rotation, which retired the generation: look again.
      const bool overtaken = error.code() == errc::conflict || error.code() == errc::wrong_generation;
      if (!overtaken || attempt == most_looks) throw;
    }
  }

  std::optional<Error> failure;
  try {
    const auto do_create = [request, made](Devices& d) {
      d.create(request.device, made.token, *made.key, request.existing);
    };
    co_await state.on_device(request.device, "format " + request.device, State::format_deadline, do_create);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure) {
    // Unknown outcomes keep the intent; whoever comes next looks at the drive.
    if (failure->code() != errc::unknown_outcome && failure->code() != errc::timed_out)
      co_await state.catalogue.abandon(made.record);
    throw *failure;
  }
  const Sighting seen = co_await state.look(request.device);
  made.record.device_hint = seen.device;
  made.record.bytes = seen.bytes;
  const auto do_backup_header = [device = seen.device](Devices& d) { return d.backup_header(device); };
  Bytes header = co_await state.on_device(seen.device, "back up the header of " + seen.device, State::look_deadline,
                                          do_backup_header);
  co_await state.catalogue.created(made.record, std::move(header));
  runtime::log(runtime::Severity::notice, "created by order",
               {{"volume", request.name},
                {"device", seen.device},
                {"uuid", made.record.volume.str()},
                {"generation", std::to_string(made.record.generation)}});
  try {
    const auto do_attach = [seen, key = made.key](Devices& d) { return d.attach(seen.device, seen.token, *key); };
    co_await state.on_device(seen.device, "map " + seen.device, State::map_deadline, do_attach);
    state.note_success(request.name);
  } catch (const Error& error) {
    state.note_failure(request.name, error);
    failure = Error(error.code(), {"map the new volume", request.name,
                                   std::string(error.what()) + " It is created and whole: `volcryptctl attach " +
                                       request.name + "` tries again."});
  }
  if (failure) throw *failure;
  Outcome outcome;
  outcome.changed = dm::Changed::yes;
  outcome.volume = co_await state.view(request.name);
  co_return outcome;
}

}  // namespace volcrypt::volumes
