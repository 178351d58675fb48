// ClusterService::info(): what `get clusterinfo` shows, warnings included, and the note that the recovery key was
// verified. Read from the store each time; a part that cannot be read is a warning, not a failure.
#include <algorithm>
#include <map>

#include "agent/cluster/ask_all.hpp"
#include "agent/cluster/cluster_service_state.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/recovery_note.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

using Sentences = std::vector<std::string>;

std::string role_of(Generation number, const EncryptionState& state) {
  if (number == state.current) return "current";
  if (state.previous.contains(number)) return "previous";
  if (number == state.distributing) return "distributing";
  return "retiring";
}

}  // namespace

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

// PCR 7 holds what Secure Boot checked with. Where it is off, a node that boots something else has the same PCR 7.
asio::awaitable<void> ClusterService::State::add_secure_boot(ClusterInfo& info) {
  const bool is_policy = std::ranges::find(info.boot.pcrs, 7U) != info.boot.pcrs.end();
  try {
    info.secure_boot = co_await self.secure_boot();
  } catch (const Error& error) {
    if (is_policy) info.warnings.push_back(std::string("Whether Secure Boot is on is not known: ") + error.what());
    co_return;
  }
  if (!is_policy || info.secure_boot == SecureBoot::on) co_return;
  const std::string lacks = info.secure_boot == SecureBoot::off ? "Secure Boot is off" : "There is no Secure Boot here";
  info.warnings.push_back(
      lacks +
      ", and PCR 7 is the policy: a node that boots something else may still load the KEK. Switch "
      "Secure Boot on in the firmware, then approve with `volcryptctl node approve-boot-state --authority-file FILE`.");
}

asio::awaitable<void> ClusterService::State::add_key_warnings(ClusterInfo& info) {
  Poll<Sentences>::Question ask = [](Member& member) { return member.key_warnings(); };
  const auto answers = co_await Poll<Sentences>::take(members->all(), std::move(ask));
  for (const auto& answer : answers) {
    const Sentences not_asked{"its keys were not looked at: " + answer.failure};  // a line like the others
    for (const auto& warning : answer.value.value_or(not_asked))
      info.warnings.push_back(answer.member->name() + ": " + warning);
  }
}

// Verified means: every blob that is there now was opened, each told by its KEK's Name.
asio::awaitable<void> ClusterService::State::add_recovery(ClusterInfo& info) {
  try {
    RecoveryNote verified;
    if (const auto note = co_await stored(store_key::recovery_verified)) verified = parse_recovery_note(note->value);
    info.recovery_verified_at = verified.at;
    for (const auto& entry : co_await store.list(std::string(store_key::recoveries))) {
      const auto blob = parse_recovery_blob(entry.value);
      if (std::ranges::find(verified.names, blob.name) != verified.names.end()) continue;
      info.unverified_since = std::min(info.unverified_since.value_or(blob.generation), blob.generation);
    }
  } catch (const Error& error) {
    info.warnings.push_back(std::string("Whether the recovery key opens the blobs is not known: ") + error.what());
    co_return;
  }
  info.recovery_verified = !info.recovery_verified_at.empty() && !info.unverified_since;
  if (info.recovery_verified) co_return;
  const std::string lacks = info.recovery_verified_at.empty()
                                ? "was never verified"
                                : "is not verified since KEK generation " + std::to_string(*info.unverified_since);
  info.warnings.push_back("The recovery key " + lacks + ": run `volcryptctl recovery verify --recovery-file FILE`.");
}

void ClusterService::State::add_warnings(ClusterInfo& info) {
  if (!started) info.warnings.push_back("The cluster's work is not resumed; see the journal of volcryptd.");
  if (!not_adopted.empty()) info.warnings.push_back("This node has not adopted the membership: " + not_adopted);
  if (info.encryption.protection == keys::Protection::software) {
    info.warnings.push_back("Software protection: drives are protected when they leave, whole servers are not.");
  }
  if (!info.rotation.waiting_for.empty())
    info.warnings.push_back("The rotation waits: " + info.rotation.waiting_for + ".");
  if (!info.rotation.coordinator.empty() && info.rotation.coordinator != self.name())
    info.warnings.push_back("Node " + volcrypt::quoted(info.rotation.coordinator) +
                            " works on the cluster's keys now; what holds it up is told there alone.");
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
  co_await state.add_recovery(info);
  co_await state.add_boot_state(info);
  co_await state.add_secure_boot(info);
  co_await state.add_key_warnings(info);
  state.add_warnings(info);
  co_return info;
}

asio::awaitable<bool> ClusterService::recovery_was_verified(std::string when, std::vector<Bytes> names) {
  co_await state_->ready();
  std::ranges::sort(names);
  const auto before = co_await state_->stored(store_key::recovery_verified);
  RecoveryNote known;
  if (before) known = parse_recovery_note(before->value);
  std::ranges::sort(known.names);
  const bool changed = known.names != names;
  std::string note = to_json(RecoveryNote{std::move(when), std::move(names)});
  co_await state_->put(std::string(store_key::recovery_verified), std::move(note), before ? before->modified : 0);
  co_return changed;
}

}  // namespace volcrypt::cluster
