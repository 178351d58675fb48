// ClusterService::info(): what `get clusterinfo` shows, warnings included, and the note that the recovery key was
// verified. Read from the store each time; a part that cannot be read is a warning, not a failure.
#include <boost/json/serialize.hpp>
#include <map>

#include "agent/cluster/cluster_service_state.hpp"
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
