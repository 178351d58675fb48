// The operator's verbs, see cluster_service.hpp. What a verb changes is stored first and done then; what it only asks
// is read from the store each time, for another coordinator may have written it. Status: cluster_status.cpp.
#include "agent/cluster/cluster_service.hpp"

#include <algorithm>

#include "agent/cluster/ask_all.hpp"
#include "agent/cluster/cluster_service_state.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

std::string why_no_abort(const EncryptionState& state) {
  if (state.phase == EncryptionPhase::Disabled) return "Cluster encryption is not enabled: there is none.";
  if (state.phase == EncryptionPhase::Enabling) return "Encryption is being enabled; what fails there is taken back.";
  return "Generation " + std::to_string(state.current) +
         " is current already, and volumes are being rewrapped to it: let it finish, then rotate again if it shall go.";
}

std::string all_failures(const std::vector<EnableCheck>& checks) {
  std::string text;
  for (const auto& check : checks) {
    for (const auto& failure : check.failures) text += (text.empty() ? "" : " ") + check.node + ": " + failure;
  }
  return text;
}

}  // namespace

// ---- start ----

// Order: the membership, then the generations, then the work. Nothing is resumed on a store older than what was seen.
asio::awaitable<void> ClusterService::State::start() {
  const auto pinned = co_await pin.read();
  const auto entry = co_await stored(store_key::membership);
  if (!entry) {
    if (!pinned) co_return;  // no cluster yet
    throw Error(errc::too_old,
                {"use the store", "which has no membership document",
                 "This node belongs to cluster " + pinned->pin.cluster.str() +
                     ": the store was lost or replaced. Restore it from a backup; volumes attach without it."});
  }
  if (!pinned) {  // the first document: the node itself knows whom it was made for
    const auto document = parse_signed_membership(entry->value);
    co_await self.adopt_membership(document);
  }
  co_await members->reload();
  const auto state = co_await driver->load();
  if (pinned && state.highest_used < pinned->highest_used) {
    throw Error(errc::too_old,
                {"use the store", "whose highest KEK generation is " + std::to_string(state.highest_used),
                 "Generation " + std::to_string(pinned->highest_used) +
                     " was seen already: an old copy was restored. Restore the newest one."});
  }
  co_await follow_membership();
  co_await driver->coordinate();
  started = true;
}

asio::awaitable<void> ClusterService::State::follow_membership() {
  co_await members->reload();
  const auto entry = co_await stored(store_key::membership);
  if (!entry) co_return;
  const auto signed_document = parse_signed_membership(entry->value);
  const auto pinned = co_await pin.read();
  if (pinned && pinned->newest.document == signed_document.document) co_return;
  try {
    co_await self.adopt_membership(signed_document);
    not_adopted.clear();
  } catch (const Error& error) {  // a TPM that is absent now must not keep the rest from going on
    not_adopted = error.what();
  }
}

asio::awaitable<bool> ClusterService::State::has_cluster() {
  const auto entry = co_await stored(store_key::membership);
  co_return entry.has_value();
}

asio::awaitable<void> ClusterService::State::ready() {
  if (!started) co_await start();
  if (started) co_return;
  throw Error(errc::wrong_state, {"find", "the cluster", "There is none yet: run `volcryptctl cluster init`."});
}

ClusterService::ClusterService(Store& store, Member& member, LocalPin& pin, keys::Protection available,
                               Members::Reach others, DriverOptions options)
    : state_(std::make_shared<State>(State{store, member, pin, available, nullptr, nullptr, false, {}})) {
  state_->members = std::make_shared<Members>(store, pin, member, std::move(others));
  state_->driver = std::make_shared<RotationDriver>(store, pin, state_->members, std::move(options));
}

ClusterService::~ClusterService() { state_->driver->stop(); }

asio::awaitable<void> ClusterService::start() {
  if (!state_->started) co_await state_->start();
}

asio::awaitable<void> ClusterService::stand_by() {
  const auto state = state_;
  if (!state->started) co_return;
  std::exception_ptr removed;
  try {
    co_await state->follow_membership();
  } catch (const NotAMember&) {
    removed = std::current_exception();
  }
  if (removed) {
    co_await state->driver->leave();
    std::rethrow_exception(removed);
  }
  // So that a store that is rolled back is noticed at every node.
  const auto encryption = co_await state->driver->load();
  co_await state->pin.see_generation(encryption.highest_used);
  co_await state->driver->stand_by();
}

// ---- enable ----

asio::awaitable<void> ClusterService::set_feature_flag() {
  co_await state_->ready();
  co_await state_->driver->apply(event::FlagSet{});
}

asio::awaitable<EnableCheck> ClusterService::State::check_cluster() {
  EnableCheck check;
  check.node = "cluster";
  if (!co_await has_cluster()) {
    check.failures.push_back("There is no cluster yet: run `volcryptctl cluster init`.");
  }
  const auto encryption = co_await driver->load();
  if (!encryption.feature_flag) {
    check.failures.push_back("The feature flag is off: run `volcryptctl enable feature-flag cluster-encryption`.");
  }
  for (const auto& volume : co_await store.list(std::string(store_key::volumes))) {
    check.failures.push_back("Volume " + volume.key.substr(store_key::volumes.size()) +
                             " is in the catalogue: encryption is enabled before the first volume.");
  }
  co_return check;
}

asio::awaitable<std::vector<EnableCheck>> ClusterService::check_enable(keys::Protection protection) {
  auto& state = *state_;
  std::vector<EnableCheck> checks;
  checks.push_back(co_await state.check_cluster());
  Poll<MemberReadiness>::Question ask = [protection](Member& member) { return member.readiness(protection); };
  const auto answers = co_await Poll<MemberReadiness>::take(state.members->all(), std::move(ask));
  for (const auto& answer : answers) {
    EnableCheck check;
    check.node = answer.member->name();
    if (!answer.value) {
      check.failures.push_back("It does not answer: " + answer.failure);
    } else {
      check.failures = answer.value->failures;
      if (answer.value->version != VOLCRYPT_VERSION) {
        check.failures.push_back("It runs volcrypt " + answer.value->version +
                                 ", the coordinator " VOLCRYPT_VERSION ": install the same version everywhere.");
      }
    }
    checks.push_back(std::move(check));
  }
  co_return checks;
}

asio::awaitable<void> ClusterService::enable(keys::Protection protection) {
  auto& state = *state_;
  co_await state.ready();
  auto encryption = co_await state.driver->load();
  if (encryption.phase != EncryptionPhase::Disabled && encryption.protection != protection) {
    throw Error(errc::wrong_state,
                {"enable", "cluster encryption with protection " + std::string(spelling(protection)),
                 "It is chosen once, and is " + std::string(spelling(*encryption.protection)) + "."});
  }
  if (encryption.phase == EncryptionPhase::Disabled) {
    const auto failures = all_failures(co_await check_enable(protection));
    if (!failures.empty()) throw Error(errc::wrong_state, {"enable", "cluster encryption", failures});
    co_await state.driver->apply(event::Enable{protection});
  }
  // From what the last wait returned on: of a revision that was compacted meanwhile a store tells nothing any more.
  for (Revision seen = 0;;) {
    const auto entry = co_await state.stored(store_key::encryption);
    if (!entry) throw Error(errc::store_damaged, {"read", "the encryption state", "It vanished from the store."});
    encryption = parse_encryption_state(entry->value);
    if (encryption.phase != EncryptionPhase::Enabling) break;
    seen = std::max(seen, entry->modified);
    seen = std::max(seen, co_await state.store.changed(entry->key, seen));
  }
  if (encryption.phase == EncryptionPhase::Enabled) co_return;
  if (state.driver->last_error()) std::rethrow_exception(state.driver->last_error());
  throw Error(errc::wrong_state, {"enable", "cluster encryption", "It was called off meanwhile."});
}

// ---- rotation ----

asio::awaitable<Generation> ClusterService::rotate() {
  co_await state_->ready();
  const auto encryption = co_await state_->driver->apply(event::Rotate{});
  co_return encryption.distributing;
}

asio::awaitable<std::optional<Generation>> ClusterService::abort_rotation() {
  co_await state_->ready();
  const auto before = co_await state_->driver->load();
  const Error refusal(errc::wrong_state, {"abort", "the rotation", why_no_abort(before)});
  if (before.phase != EncryptionPhase::Enabled || before.rotation == RotationPhase::EncryptingDEKs) throw refusal;
  if (before.rotation == RotationPhase::NoRotation) co_return std::nullopt;
  co_await state_->driver->apply(event::Abort{});
  co_return before.distributing;
}

void ClusterService::heard_of(const Uuid& member) { state_->driver->heard_of(member); }

asio::awaitable<void> ClusterService::reconsider_retirement() {
  co_await state_->ready();
  co_await state_->driver->reconsider();
}

asio::awaitable<RotationView> ClusterService::rotation() {
  auto& state = *state_;
  RotationView view;
  view.state = co_await state.driver->load();
  view.waiting_for = state.driver->waiting_for();
  view.last_failure = state.driver->last_failure();
  view.coordinator = co_await state.driver->coordinator();
  Poll<RewrapProgress>::Question ask = [](Member& member) { return member.rewrap_progress(); };
  auto answers = co_await Poll<RewrapProgress>::take(state.members->all(), std::move(ask));
  for (auto& answer : answers) {
    if (!answer.value) {  // shown as this member's line
      answer.value.emplace();
      answer.value->failures.push_back(answer.failure);
    }
    const Uuid& id = answer.member->id();
    view.progress.push_back({answer.member->name(), view.state.proved.contains(id), view.state.rewrapped.contains(id),
                             std::move(*answer.value)});
  }
  co_return view;
}

asio::awaitable<EncryptionState> ClusterService::encryption() { return state_->driver->load(); }

}  // namespace volcrypt::cluster
