// The operator's verbs, see cluster_service.hpp. What a verb changes is stored first and done then; what it only asks
// is read from the store each time, for another coordinator may have written it.
#include "agent/cluster/cluster_service.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <map>

#include "agent/cluster/documents.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace {

const JsonDocument verified_document{"the note that the recovery key was verified", 4096, 2, errc::store_damaged};

std::string render_verified(const std::string& when) {
  auto object = documents::begin();
  object["at"] = when;
  return boost::json::serialize(object);
}

std::string parse_verified(std::string_view text) {
  const auto object = parse_object(text, verified_document);
  MemberReader members(object, verified_document);
  documents::check_version(members, verified_document);
  std::string when(members.text("at"));
  members.finish();
  return when;
}

Transaction replacing(const std::string& key, std::string value, Revision before) {
  Transaction transaction;
  transaction.when.push_back({key, before});
  transaction.then.emplace_back(Put{key, std::move(value)});
  return transaction;
}

Transaction removing(const Entry& entry) {
  Transaction transaction;
  transaction.when.push_back({entry.key, entry.modified});
  transaction.then.emplace_back(Delete{entry.key});
  return transaction;
}

std::string role_of(Generation number, const EncryptionState& state) {
  if (number == state.current) return "current";
  if (state.previous.contains(number)) return "previous";
  if (number == state.distributing) return "distributing";
  return "retiring";
}

std::string all_failures(const std::vector<EnableCheck>& checks) {
  std::string text;
  for (const auto& check : checks) {
    for (const auto& failure : check.failures) text += (text.empty() ? "" : " ") + check.node + ": " + failure;
  }
  return text;
}

}  // namespace

struct ClusterService::State {
  Store& store;
  Member& self;
  LocalPin& pin;
  keys::Protection available;
  std::vector<Member*> members;
  std::shared_ptr<RotationDriver> driver;
  bool started = false;
  std::string not_adopted;  // why this node did not adopt the stored membership

  asio::awaitable<std::optional<Entry>> stored(std::string_view key) { return store.get(std::string(key)); }

  asio::awaitable<void> start();
  asio::awaitable<bool> has_cluster();
  asio::awaitable<void> ready();
  asio::awaitable<void> adopt(const SignedMembership& signed_document);
  asio::awaitable<EnableCheck> check_cluster();
  asio::awaitable<std::vector<KekRecordSummary>> generations(const EncryptionState& state);
  asio::awaitable<void> put(std::string key, std::string value, Revision before);
  asio::awaitable<void> add_boot_state(ClusterInfo& info);
  asio::awaitable<void> add_key_warnings(ClusterInfo& info);
  void add_warnings(ClusterInfo& info);
};

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
  const auto signed_document = parse_signed_membership(entry->value);
  const auto opened = open_membership(signed_document, pinned ? &pinned->pin : nullptr);
  const auto state = co_await driver->load();
  if (pinned && state.highest_used < pinned->highest_used) {
    throw Error(errc::too_old,
                {"use the store", "whose highest KEK generation is " + std::to_string(state.highest_used),
                 "Generation " + std::to_string(pinned->highest_used) +
                     " was seen already: an old copy was restored. Restore the newest one."});
  }
  if (!pinned || pinned->newest.document != signed_document.document) {
    try {
      co_await self.adopt_membership(signed_document);
    } catch (const Error& error) {  // a TPM that is absent now must not keep the rest from going on
      not_adopted = error.what();
    }
  }
  co_await driver->coordinate();
  started = true;
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
                               DriverOptions options)
    : state_(std::make_shared<State>(State{store, member, pin, available, {&member}, nullptr, false, {}})) {
  state_->driver = std::make_shared<RotationDriver>(store, pin, state_->members, options);
}

ClusterService::~ClusterService() { state_->driver->stop(); }

asio::awaitable<void> ClusterService::start() {
  if (!state_->started) co_await state_->start();
}

// ---- membership ----

asio::awaitable<void> ClusterService::State::put(std::string key, std::string value, Revision before) {
  const auto committed = co_await store.commit(replacing(key, std::move(value), before));
  if (!committed) throw Error(errc::conflict, {"write", "the store's key " + key, "Try again."});
}

asio::awaitable<void> ClusterService::State::adopt(const SignedMembership& signed_document) {
  for (auto* member : members) co_await member->adopt_membership(signed_document);
  not_adopted.clear();
}

asio::awaitable<void> ClusterService::init(SignedMembership membership) {
  auto& state = *state_;
  const auto opened = open_membership(membership, nullptr);
  const auto pinned = co_await state.pin.read();
  const auto entry = co_await state.stored(store_key::membership);
  const auto value = to_json(membership);
  // The document counts: the same one may have been signed twice.
  const bool repeated = entry && parse_signed_membership(entry->value).document == membership.document;
  if ((entry && !repeated) || (pinned && pinned->newest.document != membership.document)) {
    throw Error(errc::wrong_state, {"make", "cluster " + volcrypt::quoted(opened.cluster_name),
                                    "This node belongs to a cluster already."});
  }
  const auto is_self = [&](const MemberEntry& member) { return member.node == state.self.id(); };
  if (std::none_of(opened.members.begin(), opened.members.end(), is_self)) {
    throw Error(errc::invalid_argument,
                {"make", "cluster " + volcrypt::quoted(opened.cluster_name), "This node is not among its members."});
  }
  if (!repeated) co_await state.put(std::string(store_key::membership), value, 0);
  std::exception_ptr failure;
  try {
    co_await state.adopt(membership);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure && repeated) std::rethrow_exception(failure);
  if (failure) {  // nothing depends on the document yet
    const auto stored = co_await state.stored(store_key::membership);
    if (stored && stored->value == value) {
      co_await state.store.commit(removing(*stored));
    }
    std::rethrow_exception(failure);
  }
  co_await state.ready();
}

asio::awaitable<void> ClusterService::update_membership(SignedMembership membership) {
  auto& state = *state_;
  co_await state.ready();
  const auto entry = co_await state.stored(store_key::membership);
  if (!entry) throw Error(errc::store_damaged, {"read", "the membership document", "It vanished from the store."});
  const auto present_document = parse_signed_membership(entry->value);
  const auto present = open_membership(present_document, nullptr);
  const Pin pin{present.cluster, present.authority_public, present.version};
  const auto opened = open_membership(membership, &pin);
  const bool repeated = membership.document == present_document.document;
  if (!repeated && opened.version == present.version) {
    throw Error(errc::too_old, {"accept", "another membership document of version " + std::to_string(opened.version),
                                "Fetch the present one, change it and sign it again."});
  }
  if (!repeated) co_await state.put(entry->key, to_json(membership), entry->modified);
  co_await state.adopt(membership);
}

asio::awaitable<std::optional<SignedMembership>> ClusterService::membership() {
  const auto entry = co_await state_->stored(store_key::membership);
  if (!entry) co_return std::nullopt;
  co_return parse_signed_membership(entry->value);
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
  for (auto* member : state.members) {
    EnableCheck check;
    check.node = member->name();
    try {
      const auto readiness = co_await member->readiness(protection);
      check.failures = readiness.failures;
      if (readiness.version != VOLCRYPT_VERSION) {
        check.failures.push_back("It runs volcrypt " + readiness.version +
                                 ", the coordinator " VOLCRYPT_VERSION ": install the same version everywhere.");
      }
    } catch (const Error& error) {  // one member's failure is one line of the answer
      check.failures.push_back(std::string("It does not answer: ") + error.what());
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
  for (;;) {
    const auto entry = co_await state.stored(store_key::encryption);
    if (!entry) throw Error(errc::store_damaged, {"read", "the encryption state", "It vanished from the store."});
    encryption = parse_encryption_state(entry->value);
    if (encryption.phase != EncryptionPhase::Enabling) break;
    co_await state.store.changed(entry->key, entry->modified);
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

asio::awaitable<void> ClusterService::abort_rotation() {
  co_await state_->ready();
  co_await state_->driver->apply(event::Abort{});
}

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
  for (auto* member : state.members) {
    try {
      const auto progress = co_await member->rewrap_progress();
      view.progress.emplace_back(member->name(), progress);
    } catch (const Error& error) {  // shown as this member's line
      RewrapProgress unknown;
      unknown.failures.push_back(error.what());
      view.progress.emplace_back(member->name(), unknown);
    }
  }
  co_return view;
}

// ---- status ----

asio::awaitable<std::vector<KekRecordSummary>> ClusterService::State::generations(const EncryptionState& encryption) {
  std::map<Generation, KekRecordSummary> found;  // by number, not by the spelling of the key
  for (const auto& entry : co_await store.list(std::string(store_key::generations))) {
    const auto kek = parse_kek_record(entry.value);
    found[kek.generation] = {kek.generation, role_of(kek.generation, encryption), kek.name};
  }
  std::vector<KekRecordSummary> summaries;
  for (auto& [number, summary] : found) summaries.push_back(std::move(summary));
  co_return summaries;
}

asio::awaitable<void> ClusterService::State::add_boot_state(ClusterInfo& info) {
  try {
    info.boot = co_await self.boot_report();
  } catch (const Error& error) {  // status must work when the TPM does not
    info.warnings.push_back(std::string("The boot state is not known: ") + error.what());
    co_return;
  }
  const bool tpm = info.encryption.protection.value_or(available) == keys::Protection::tpm;
  if (tpm && info.boot.pcrs.empty()) {
    info.warnings.push_back("No PCR is bound: a node that boots something else can still load the KEK.");
  }
  if (!info.boot.approved_now) {
    info.warnings.push_back("Sealed out: the PCRs match no approved state; see `volcryptctl node boot-state`.");
  }
}

asio::awaitable<void> ClusterService::State::add_key_warnings(ClusterInfo& info) {
  for (auto* member : members) {
    std::vector<std::string> warnings;
    try {
      warnings = co_await member->key_warnings();
    } catch (const Error& error) {  // a line like the others
      warnings.push_back(std::string("its keys were not looked at: ") + error.what());
    }
    for (const auto& warning : warnings) info.warnings.push_back(member->name() + ": " + warning);
  }
}

void ClusterService::State::add_warnings(ClusterInfo& info) {
  if (!started) info.warnings.push_back("The cluster's work is not resumed; see the journal of volcryptd.");
  if (!not_adopted.empty()) info.warnings.push_back("This node has not adopted the membership: " + not_adopted);
  if (!info.recovery_verified) {
    info.warnings.push_back("The recovery key was never verified: run `volcryptctl recovery verify`.");
  }
  if (info.encryption.protection == keys::Protection::software) {
    info.warnings.push_back("Software protection: drives are protected when they leave, whole servers are not.");
  }
  if (!info.rotation.waiting_for.empty())
    info.warnings.push_back("The rotation waits: " + info.rotation.waiting_for + ".");
  const bool quiet = info.encryption.rotation == RotationPhase::NoRotation;
  if (quiet && !info.encryption.previous.empty()) {
    info.warnings.push_back("Absent volumes still need previous KEK generations; they are rewrapped when they return.");
  }
}

asio::awaitable<ClusterInfo> ClusterService::info() {
  auto& state = *state_;
  ClusterInfo info;
  info.version = VOLCRYPT_VERSION;
  info.rotation = co_await rotation();
  info.encryption = info.rotation.state;
  const auto entry = co_await state.stored(store_key::membership);
  if (!entry) co_return info;
  info.membership = parse_membership(parse_signed_membership(entry->value).document);
  info.generations = co_await state.generations(info.encryption);
  if (const auto verified = co_await state.stored(store_key::recovery_verified)) {
    info.recovery_verified = true;
    info.recovery_verified_at = parse_verified(verified->value);
  }
  co_await state.add_boot_state(info);
  co_await state.add_key_warnings(info);
  state.add_warnings(info);
  co_return info;
}

asio::awaitable<void> ClusterService::recovery_was_verified(std::string when) {
  co_await state_->ready();
  const auto before = co_await state_->stored(store_key::recovery_verified);
  co_await state_->put(std::string(store_key::recovery_verified), render_verified(when), before ? before->modified : 0);
}

}  // namespace volcrypt::cluster
