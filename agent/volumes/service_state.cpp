// What every verb of VolumeService needs: bounded looks at devices, the drive of a volume, views, noted failures.
#include "agent/volumes/service_state.hpp"

#include <algorithm>

#include "agent/keys/dek_wrap.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/parallel.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

const Candidate* numbered(const std::vector<Candidate>& candidates, const std::vector<dev_t>& numbers) {
  const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
    return std::find(numbers.begin(), numbers.end(), candidate.number) != numbers.end();
  });
  return found == candidates.end() ? nullptr : &*found;
}

asio::awaitable<void> sight_one(VolumeService::State& state, Candidate candidate, std::vector<Sighting>& into) {
  try {
    Sighting sighting = co_await state.look(candidate.device);
    into.push_back(std::move(sighting));
  } catch (const Error&) {
    // Unreadable or not ours after all: whoever asks for this very device gets the reason.
  }
}

}  // namespace

Error refusal(const Decision& decision, const Sighting& drive) {
  return Error(decision.cause, {"attach", drive.token.name + " from " + drive.device,
                                capitalised(decision.reason) + ". " + decision.way_out});
}

VolumeService::State::State(LocalNode local, cluster::Store& shared, keys::NodeKeys& node_keys,
                            runtime::Worker& device_worker, std::shared_ptr<Devices> seen)
    : node(std::move(local)),
      keys(node_keys),
      worker(device_worker),
      devices(std::move(seen)),
      catalogue(shared, files, std::filesystem::path(node.state_directory) / "catalogue"),
      scans("scan for volumes",
            [this] {
              return on_device("udev", "ask udev for volumes", look_deadline, [](Devices& d) { return d.scan(); });
            }),
      listings("list mappings",
               [this] {
                 return on_device("device-mapper", "list mappings", look_deadline,
                                  [](Devices& d) { return d.mappings(); });
               }),
      unlocking(node_keys),
      detached_by_order(files, std::filesystem::path(node.runtime_directory) / "detached") {}

asio::awaitable<Sighting> VolumeService::State::look(std::string device) {
  const auto do_look = [device](Devices& d) { return d.look(device); };
  Sighting sighting = co_await on_device(device, "read the header of " + device, look_deadline, do_look);
  last_seen[sighting.token.volume] = sighting;
  co_return sighting;
}

asio::awaitable<HeaderArea> VolumeService::State::header_area(std::string device) {
  const auto do_read = [device](Devices& d) { return d.header_area(device); };
  co_return co_await on_device(device, "read the header area of " + device, look_deadline, do_read);
}

asio::awaitable<std::vector<Candidate>> VolumeService::State::scan() { return scans.ask(); }

asio::awaitable<std::vector<dm::Mapping>> VolumeService::State::mappings() { return listings.ask(); }

asio::awaitable<std::set<Generation>> VolumeService::State::held() {
  const auto ask = [](keys::KekStore& store) { return store.kept(); };  // a damaged one is named at its unlocking
  const std::vector<Generation> numbers = co_await keys.chosen().with("list KEK generations", ask);
  co_return std::set<Generation>(numbers.begin(), numbers.end());
}

asio::awaitable<std::vector<Sighting>> VolumeService::State::sight(std::vector<Candidate> candidates) {
  std::vector<Sighting> seen;
  co_await for_each_of(candidates, [&](Candidate& candidate) { return sight_one(*this, candidate, seen); });
  co_return seen;
}

asio::awaitable<std::optional<Candidate>> VolumeService::State::drive_of(cluster::VolumeRecord record) {
  const std::vector<dm::Mapping> live = co_await mappings();
  std::vector<Candidate> candidates = co_await scan();
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    if (const Candidate* under = numbered(candidates, mapping->under)) co_return *under;
    co_return std::nullopt;  // its drive went away; another copy is not its drive
  }
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.volume != record.volume; });
  if (candidates.size() > 1)
    throw Error(errc::duplicate_volume,
                {"choose the drive of volume", record.name,
                 "It is on " + candidates[0].device + " and on " + candidates[1].device +
                     ": unplug one, or say `volcryptctl attach " + record.name + " --device DEVICE`."});
  if (candidates.empty()) co_return std::nullopt;
  co_return candidates.front();
}

// By what this node holds, without the store and before the KEK was proved: an impostor's group key does not open what
// was wrapped under the right one (keys/dek_wrap: AES-256-GCM).
asio::awaitable<Secret> VolumeService::State::unlock(dm::Token token) {
  const GroupKey key = co_await unlocking.group_key(token.generation, token.group);
  Secret dek = keys::unwrap(token, *key);
  ++tally.unwraps;
  co_return dek;
}

asio::awaitable<GroupKey> VolumeService::State::key_to_wrap(Generation generation, Uuid group) {
  keys::KekRecord record = co_await catalogue.kek_record(generation);
  co_return co_await unlocking.proved_group_key(std::move(record), group);
}

void VolumeService::State::note_failure(const std::string& name, const boost::system::system_error& error) {
  failures[name] = {errc_name(error.code()), error.what()};
}

void VolumeService::State::note_success(const std::string& name) { failures.erase(name); }

namespace {

// What one record looks like among live mappings and present drives. Pure.
VolumeView view_of(const cluster::VolumeRecord& record, const std::vector<dm::Mapping>& live,
                   const std::vector<Candidate>& candidates) {
  VolumeView view;
  view.record = record;
  const auto drive = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const Candidate& candidate) { return candidate.volume == record.volume; });
  view.condition = drive == candidates.end() ? Condition::absent : Condition::detached;
  if (drive != candidates.end()) view.device = drive->device;
  if (const dm::Mapping* mapping = mapping_of(live, record.volume)) {
    if (const Candidate* under = numbered(candidates, mapping->under)) view.device = under->device;
    view.mapping = dm::mapping_path(mapping->name);
    const bool usable = mapping->has_table && mapping->liveness == dm::Liveness::active && !mapping->is_leaving;
    view.condition = !mapping->liveness ? Condition::unknown : usable ? Condition::attached : Condition::failed;
    if (view.condition == Condition::failed)
      view.failure = mapping->is_leaving ? "its mapping is being removed, and is still in use: unmount or close it"
                                         : "the mapping is suspended or half made";
  }
  view.record.present = !view.device.empty();
  return view;
}

// Which volume that is, and hence which drive, is unknown.
VolumeView view_of(const Unreadable& entry, const std::vector<dm::Mapping>& live) {
  VolumeView view;
  view.record.name = entry.name();
  const Error told = refusal(entry);
  view.failure = told.what();
  view.failure_kind = errc_name(told.code());
  view.condition = Condition::unknown;
  for (const dm::Mapping& mapping : live)
    if (mapping.name == view.record.name) view.mapping = dm::mapping_path(mapping.name);
  return view;
}

}  // namespace

std::string VolumeService::State::name_of_owner(const Uuid& owner) const {
  const std::string name = others == nullptr ? "" : others->name_of(owner);
  return name.empty() ? owner.str() : name;
}

// Attached here, and another node's: it was taken over by order while this node was down or cut off, or attached here
// by the last known copy. Nobody's data is pulled from under them, but somebody must look.
void VolumeService::State::tell_elsewhere(VolumeView& view, Freshness freshness) {
  const cluster::VolumeRecord& record = view.record;
  if (view.condition != Condition::attached || freshness == Freshness::last_known) {
    told_elsewhere.erase(record.volume);
    return;
  }
  view.failure_kind = errc_name(make_error_code(errc::wrong_state));
  view.failure = "it is attached here, but its owner is the node " + name_of_owner(record.owner) +
                 " now: if both use the drive, its data is at risk. Detach it here: `volcryptctl detach " +
                 record.name + "`.";
  if (told_elsewhere.insert(record.volume).second)
    runtime::log(runtime::Severity::error, "a volume of another node is attached here",
                 {{"volume", record.name}, {"cause", view.failure}});
}

asio::awaitable<std::vector<VolumeView>> VolumeService::State::views() {
  const Snapshot known = co_await catalogue.look();
  std::optional<Failure> blind;
  std::vector<dm::Mapping> live;
  std::vector<Candidate> candidates;
  try {
    live = co_await mappings();
    candidates = co_await scan();
  } catch (const Error& error) {  // device-mapper or udev does not answer: every condition is unknown, none is guessed
    blind = Failure{errc_name(error.code()), error.what()};
  }
  std::vector<VolumeView> all;
  counts.clear();
  for (const cluster::VolumeRecord& record : known.volumes) {
    VolumeView view = view_of(record, live, candidates);
    if (blind) {
      view.condition = Condition::unknown;
      view.record.present.reset();
      view.failure = blind->text;
      view.failure_kind = blind->kind;
    }
    if (const auto failure = failures.find(record.name);
        failure != failures.end() && view.condition != Condition::attached) {
      if (view.condition == Condition::detached) view.condition = Condition::failed;
      view.failure = failure->second.text;
      view.failure_kind = failure->second.kind;
    }
    if (const auto seen = last_seen.find(record.volume); seen != last_seen.end())
      view.description = seen->second.token.description;
    if (others != nullptr) view.owner_name = others->name_of(record.owner);
    if (record.owner != node.node) tell_elsewhere(view, known.freshness);
    ++counts[{view.condition, record.generation}];
    all.push_back(std::move(view));
  }
  for (const Unreadable& entry : known.unreadable)
    if (known.named(entry.name()) == nullptr && !entry.name().empty()) all.push_back(view_of(entry, live));
  co_return all;
}

asio::awaitable<VolumeView> VolumeService::State::view(std::string name) {
  std::vector<VolumeView> all = co_await views();
  for (VolumeView& one : all)
    if (one.record.name == name) co_return std::move(one);
  throw Error(errc::no_such_volume, {"find volume", name, "`volcryptctl get volumes` lists those of this cluster."});
}

asio::awaitable<cluster::VolumeRecord> VolumeService::State::record_named(std::string name) {
  const Snapshot known = co_await catalogue.look();
  const cluster::VolumeRecord* record = known.named(name);
  if (const Unreadable* unreadable = known.unreadable_named(name); record == nullptr && unreadable != nullptr)
    throw refusal(*unreadable);
  if (record == nullptr)
    throw Error(errc::no_such_volume, {"find volume", name, "`volcryptctl get volumes` lists those of this cluster."});
  co_return *record;
}

}  // namespace volcrypt::volumes
