// What RotationDriver does for each action that the machine asks for, how it tells one that fails, and what cuts its
// pauses short. When and how often is in rotation_driver.cpp, under whose lease in rotation_lease.cpp.
#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "agent/cluster/intent.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/rotation_driver.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

// The volume of a catalogue entry. One that cannot be read, or is another's, may need any generation.
VolumeRecord record_in(const Entry& entry, std::string_view prefix) {
  const std::string name = entry.key.substr(prefix.size());
  std::string cause = "It is another volume's.";
  try {
    VolumeRecord record =
        prefix == store_key::intents ? parse_intent(entry.value).record : parse_volume_record(entry.value);
    if (record.name == name) return record;
  } catch (const Error& error) {
    cause = error.what();
  }
  throw Error(errc::store_damaged,
              {"count what removed nodes left of volume", name,
               "The catalogue's entry " + entry.key + " cannot be read: " + cause +
                   " No KEK generation is retired until it is written anew with `volcryptctl attach " + name +
                   " --device DEVICE`, or given up with `volcryptctl forget volume " + name + "`."});
}

}  // namespace

asio::awaitable<void> RotationDriver::act(action::CreateKek create) {
  // Pinned before the number can appear on any drive: a store rolled back to before it cannot give it out again.
  co_await pin_.see_generation(create.generation);
  store();  // throws when stopped
  const auto kek = co_await members_->self().create_kek(create.generation);
  if (!co_await store().get(store_key::recovery(create.generation))) {
    throw Error(errc::wrong_state, {"use", "KEK generation " + std::to_string(create.generation),
                                    "Its blob for the recovery key is not in the store."});
  }
  Writes also;
  also.emplace_back(Put{store_key::generation(create.generation), to_json(kek)});
  co_await record(event::Created{create.generation}, std::move(also));
}

asio::awaitable<void> RotationDriver::act(action::ProveKek prove) {
  const auto entry = co_await store().get(store_key::generation(prove.generation));
  if (!entry) {
    throw Error(errc::store_damaged, {"read", "the record of KEK generation " + std::to_string(prove.generation),
                                      "It is missing: restore the store from a backup."});
  }
  const auto prover = member(prove.member);
  co_await prover->prove_kek(parse_kek_record(entry->value));
  co_await record(event::Proved{prove.member, prove.generation}, {});
}

asio::awaitable<void> RotationDriver::act(action::RewrapVolumes rewrap) {
  const auto owner = member(rewrap.member);
  const auto progress = co_await owner->rewrap_volumes(rewrap.to);
  if (!progress.failures.empty()) {
    throw Error(errc::wrong_state,
                {"rewrap", std::to_string(progress.failures.size()) + " volumes", progress.failures.front() + "."});
  }
  co_await record(event::Rewrapped{rewrap.member, rewrap.to}, {});
}

asio::awaitable<std::set<Generation>> RotationDriver::needed_by_orphans() {
  std::set<Generation> needed;
  const auto ids = members_->ids();
  const auto volumes = co_await store().list(std::string(store_key::volumes));
  const auto intents = co_await store().list(std::string(store_key::intents));
  const auto count = [&](const VolumeRecord& volume) {
    if (!ids.contains(volume.owner)) needed.insert(volume.generation);
  };
  for (const auto& entry : volumes) count(record_in(entry, store_key::volumes));
  for (const auto& entry : intents) count(record_in(entry, store_key::intents));
  co_return needed;
}

// A header is written before its record, so that of an owner which was removed in between may be ahead of it: at any
// generation since that the owner got. It got none of the present trust epoch, which began with its removal or a later
// one.
asio::awaitable<std::set<Generation>> RotationDriver::perhaps_needed_by_orphans() {
  auto needed = co_await needed_by_orphans();
  if (needed.empty()) co_return needed;
  const auto oldest = *needed.begin();
  const auto state = co_await load();
  const auto records = co_await store().list(std::string(store_key::generations));
  for (const auto& entry : records) {
    const auto kek = parse_kek_record(entry.value);
    const bool was_current = kek.generation == state.current || state.previous.contains(kek.generation);
    if (was_current && kek.generation > oldest && kek.trust_epoch < members_->trust_epoch())
      needed.insert(kek.generation);
  }
  co_return needed;
}

asio::awaitable<void> RotationDriver::act(action::TakeCensus) {
  event::CensusTaken census;
  co_await members_->reload();  // what a node needs that was removed before is the catalogue's to tell
  const auto ids = members_->ids();
  for (const auto& id : ids) {
    const auto asked = member(id);
    auto generations = co_await asked->census();
    census.needed[id] = std::move(generations);
  }
  const auto orphans = co_await perhaps_needed_by_orphans();
  census.needed[members_->self().id()].insert(orphans.begin(), orphans.end());
  const auto needed = census.needed;
  const auto state = co_await record(std::move(census), {});
  for (const auto& [id, generations] : needed) {
    for (const auto number : generations) {
      if (number == state.current || state.previous.contains(number)) continue;
      last_failure_ = "a volume of member " + members_->name_of(id) + " refers to KEK generation " +
                      std::to_string(number) + ", which the cluster does not have (any more)";
    }
  }
}

asio::awaitable<void> RotationDriver::act(action::RetireKek retire) {
  if (under_way_.contains(action::CreateKek{retire.generation})) {  // aborted meanwhile: what it still makes would stay
    throw Error(errc::wrong_state, {"destroy", "KEK generation " + std::to_string(retire.generation),
                                    "It is still being made; tried again."});
  }
  const auto orphans = co_await needed_by_orphans();
  if (orphans.contains(retire.generation)) {
    throw Error(errc::wrong_state, {"destroy", "KEK generation " + std::to_string(retire.generation),
                                    "A volume whose owner was removed needs it."});
  }
  event::Retired retired{retire.generation, {}};
  const auto ids = members_->ids();
  for (const auto& id : ids) {
    const auto holder = member(id);
    co_await holder->retire_kek(retire.generation);
    retired.members.insert(id);
  }
  Writes also;
  also.emplace_back(Delete{store_key::generation(retire.generation)});
  also.emplace_back(Delete{store_key::recovery(retire.generation)});
  co_await record(std::move(retired), std::move(also));
}

std::string RotationDriver::sentence(const Action& action) {
  const auto name = [this](const Uuid& id) { return members_->name_of(id); };
  if (const auto* create = std::get_if<action::CreateKek>(&action)) {
    return "KEK generation " + std::to_string(create->generation) + " is not made";
  }
  if (const auto* prove = std::get_if<action::ProveKek>(&action)) {
    return "member " + name(prove->member) + " has not proved KEK generation " + std::to_string(prove->generation);
  }
  if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) {
    return "member " + name(rewrap->member) + " has not rewrapped all its volumes";
  }
  if (const auto* retire = std::get_if<action::RetireKek>(&action)) {
    return "KEK generation " + std::to_string(retire->generation) + " is not destroyed everywhere";
  }
  return "the census of volumes is not complete";
}

void RotationDriver::note_failure(const Action& action, std::exception_ptr error) {
  if (stopped_) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& cause) {
    last_failure_ = sentence(action) + ": " + cause.what();
  }
  if (std::exchange(failing_[action], last_failure_) != last_failure_ && options_.waiting)
    options_.waiting(last_failure_);
  last_error_ = error;
}

// ---- pauses ----

asio::awaitable<void> RotationDriver::sleep(std::chrono::milliseconds time) {
  const auto executor = co_await asio::this_coro::executor;
  const auto alarm = options_.clock->alarm(executor, time);
  struct Registration {
    std::vector<runtime::Clock::Alarm*>& sleepers;
    runtime::Clock::Alarm* alarm;
    ~Registration() { std::erase(sleepers, alarm); }
  } const registration{sleepers_, alarm.get()};
  sleepers_.push_back(alarm.get());
  co_await alarm->wait();
}

void RotationDriver::wake() {
  for (auto* alarm : sleepers_) alarm->ring();
}

void RotationDriver::heard_of(const Uuid& member) {
  const auto concerns = [&](const auto& failing) {
    const auto* prove = std::get_if<action::ProveKek>(&failing.first);
    const auto* rewrap = std::get_if<action::RewrapVolumes>(&failing.first);
    if (prove != nullptr) return prove->member == member;
    return rewrap == nullptr || rewrap->member == member;  // the rest is asked of all members
  };
  if (std::ranges::any_of(failing_, concerns)) wake();
}

std::string RotationDriver::waiting_for() const {
  std::string all;
  for (const auto& [action, text] : failing_) all += (all.empty() ? "" : "; ") + text;
  return all;
}

}  // namespace volcrypt::cluster
