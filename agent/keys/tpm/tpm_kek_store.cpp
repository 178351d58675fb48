// See tpm_kek_store.hpp. One connection serves all: what a call loads beside the KEK it flushes before it returns, and
// the cached KEK is flushed before anything else is loaded, since a TPM has three slots of which the persistent storage
// key needs one during a command.
#include "agent/keys/tpm/tpm_kek_store.hpp"

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm/capabilities.hpp"
#include "agent/keys/tpm/kek_object.hpp"
#include "agent/keys/tpm/scrub.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/stored_kek.hpp"
#include "agent/keys/tpm/tpm_hmac.hpp"
#include "agent/keys/tpm/tpm_kek_connection.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

using namespace tpm;

namespace {

// The TPM lost what we had loaded (reset, suspend, a stranger's flush): loading again helps. An answer that fails its
// authentication is not of this kind.
bool lost_what_was_loaded(const Error& error) {
  if (error.code() == errc::tpm_absent) return true;  // the kernel's resource manager says EINVAL for a lost object
  if (error.code().category() != tss_category()) return false;
  const TSS2_RC code = bare(static_cast<TSS2_RC>(error.code().value()));
  constexpr TSS2_RC reference_h0 = 0x910;
  return code == rc::handle || code == reference_h0;
}

}  // namespace

TpmKekStore::TpmKekStore(TpmStoreOptions options) : options_(std::move(options)), files_(options_.directory) {}

TpmKekStore::~TpmKekStore() { disconnect(); }

TpmKekStore::Connection& TpmKekStore::connect() {
  if (connection_) return *connection_;
  if (!seen_ && options_.patience.count() > 0) wait_for_tpm(options_.tcti, options_.patience);
  auto fresh = std::make_unique<Connection>(options_.tcti, options_.observe);
  if (dirty_) fresh->context.sweep();
  dirty_ = false;
  seen_ = true;
  connection_ = std::move(fresh);
  return *connection_;
}

void TpmKekStore::disconnect() noexcept {
  connection_.reset();
  scrub_process_memory();
}

KekRecord TpmKekStore::create(Generation generation) {
  files_.require_unused(generation);
  const Approvals approvals = files_.get_approvals();
  const Digest proof_input = proof_digest(approvals.cluster, generation, sha256(Secret::random(32).view()));
  const StoredKek made = run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const Parent parent{connection.storage.get(), approvals};
    const Digest purpose = birth_purpose(approvals.cluster, generation, approvals.trust_epoch);
    const NewKek born = create_kek(connection.esys(), parent, purpose);
    StoredKek stored;
    stored.blob = born.blob.private_area;
    stored.parent = reported_name(connection.esys(), connection.storage.get());
    stored.record = {generation, Protection::tpm,      tpm_name(born.blob.public_area), born.blob.public_area,
                     {},         approvals.trust_epoch};
    require_form(stored.record, approvals);
    const Transient kek = load_kek(connection.esys(), parent, born.blob, stored.record.name);
    const AttestationKey signer = make_attestation_key(connection.esys());
    stored.record.birth = certify_birth(connection.esys(), kek.get(), signer, born.creation);
    check_birth(stored.record.birth, stored.record.name, signer.public_area, purpose);
    return stored;
  });
  const Secret before = std::move(hmacs(made, {proof_input}).front());
  files_.add(made);
  Undo forget([&]() noexcept {
    try {
      files_.destroy(generation);
    } catch (const Error&) {
      // What is left is a generation that nobody was told of; its number stays used.
    }
  });
  run([&](Connection& connection) { connection.drop_kek(); });
  disconnect();  // what counts is what a new process could read
  const Secret after = std::move(hmacs(files_.get(generation), {proof_input}).front());
  if (!equals(before, after)) {
    throw Error(errc::wrong_key,
                {"read back", generation_text(generation), "The TPM gave another result: do not use it."});
  }
  forget.keep();
  return made.record;
}

// One session for all inputs; the KEK is loaded from `stored` unless that very one is loaded already.
std::vector<Secret> TpmKekStore::hmacs(const StoredKek& stored, const std::vector<Digest>& inputs) {
  const Approvals approvals = files_.get_approvals();
  return run([&](Connection& connection) {
    ESYS_CONTEXT* const esys = connection.esys();
    open_storage_key(connection);
    if (connection.generation != stored.record.generation || connection.kek_name != stored.record.name) {
      connection.drop_kek();
      connection.kek = load_stored(esys, {connection.storage.get(), approvals}, stored, stored.record.name);
      connection.generation = stored.record.generation;
      connection.kek_name = stored.record.name;
    }
    if (!connection.route) connection.route = options_.route ? *options_.route : read_facts(esys).hmac_route();
    std::vector<Secret> results;
    results.reserve(inputs.size());
    SaltedSession session(esys, connection.storage.get());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Use use = i + 1 == inputs.size() ? Use::last : Use::more;
      results.push_back(hmac(esys, session, {*connection.route, connection.kek.get(), use}, inputs[i]));
    }
    scrub(esys);
    return results;
  });
}

Digest TpmKekStore::prove(const KekRecord& record, const Digest& nonce) {
  const Approvals approvals = files_.get_approvals();
  StoredKek stored = files_.get(record.generation);
  stored.record.name = record.name;  // the caller's record decides, not the file beside the blob
  return files_.judged_by(record.generation, [&] {
    run([&](Connection& connection) { connection.drop_kek(); });
    const std::vector<Secret> proof = hmacs(stored, {proof_digest(approvals.cluster, record.generation, nonce)});
    Digest answer{};
    std::copy_n(proof.front().data(), answer.size(), answer.begin());
    return answer;
  });
}

std::vector<KekRecord> TpmKekStore::held() const { return files_.records(); }

std::vector<Secret> TpmKekStore::group_keys(Generation generation, const std::vector<Uuid>& groups) {
  (void)files_.get_approvals();
  files_.require_trusted(generation);
  return group_hmacs(files_.get(generation), groups);
}

std::vector<Secret> TpmKekStore::proved_group_keys(const KekRecord& record, const std::vector<Uuid>& groups) {
  (void)files_.get_approvals();
  StoredKek stored = files_.get(record.generation);
  stored.record.name = record.name;  // the caller's record decides, not the file beside the blob
  return files_.judged_by(record.generation, [&] { return group_hmacs(stored, groups); });
}

std::vector<Secret> TpmKekStore::group_hmacs(const StoredKek& stored, const std::vector<Uuid>& groups) {
  if (groups.empty()) return {};
  const Uuid cluster = files_.get_approvals().cluster;
  std::vector<Digest> inputs;
  inputs.reserve(groups.size());
  for (const Uuid& group : groups) inputs.push_back(group_digest(cluster, group, stored.record.generation));

  const bool was_loaded = connection_ && connection_->generation == stored.record.generation;
  try {
    return hmacs(stored, inputs);
  } catch (const Error& error) {
    if (!was_loaded || !lost_what_was_loaded(error)) throw;
  }
  return hmacs(stored, inputs);  // once more, loaded afresh
}

void TpmKekStore::destroy(Generation generation) {
  if (connection_ && connection_->generation == generation) connection_->drop_kek();
  files_.destroy(generation);
}

BootReport TpmKekStore::boot_report() {
  const auto approvals = files_.approvals();
  return run([&](Connection& connection) {
    if (!approvals) {
      BootReport report = read_boot_state(connection.esys(), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
      report.digest_now.clear();
      return report;
    }
    BootReport report = read_boot_state(connection.esys(), approvals->pcrs);
    report.approved_now = matching_state(*approvals, report) != nullptr;
    return report;
  });
}

std::vector<std::string> TpmKekStore::warnings() {
  return run([](Connection& connection) { return warnings_of(read_authorisations(connection.esys())); });
}

void TpmKekStore::lock() {
  if (connection_) connection_->drop_kek();
  disconnect();
}

TpmFacts TpmKekStore::facts() {
  return run([](Connection& connection) { return read_facts(connection.esys()); });
}

}  // namespace volcrypt::keys
