// See tpm_kek_store.hpp. One connection serves all: what a call loads beside the KEK it flushes before it returns, and
// the cached KEK is flushed before anything else is loaded, since a TPM has three slots of which the persistent storage
// key needs one during a command.
#include "agent/keys/tpm/tpm_kek_store.hpp"

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm/capabilities.hpp"
#include "agent/keys/tpm/kek_object.hpp"
#include "agent/keys/tpm/node_document.hpp"
#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/scrub.hpp"
#include "agent/keys/tpm/self_test.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_hmac.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

using namespace tpm;

struct TpmKekStore::Connection {
  explicit Connection(const std::string& tcti) : context(tcti) {}
  ESYS_CONTEXT* esys() const noexcept { return context.esys(); }
  void drop_kek() noexcept {
    kek.end();
    generation = 0;
    kek_name.clear();
  }

  TpmContext context;
  std::optional<HmacRoute> route;
  OpenHandle storage;
  Transient kek;
  Generation generation = 0;  // of the loaded KEK; 0: none
  Bytes kek_name;             // and its Name
};

namespace {

std::string generation_text(Generation generation) { return "KEK generation " + std::to_string(generation); }

Digest birth_purpose(const Approvals& approvals, Generation generation) {
  return Canonical("volcrypt kek birth v1").add(approvals.cluster).add(generation).add(approvals.trust_epoch).sha256();
}

std::optional<NodeDocument> read_node_document(const KekFiles& files) {
  const auto document = files.file(node_document_name).read();
  if (!document) return std::nullopt;
  return parse_node_document({reinterpret_cast<const char*>(document->data()), document->size()});
}

void write_node_document(const KekFiles& files, const NodeDocument& document) {
  files.file(node_document_name).write(as_bytes(to_json(document)));
}

// The keys of this node, made in the TPM.
NodeDocument make_node_keys(ESYS_CONTEXT* esys, const TpmFacts& facts, const TpmStoreOptions& options,
                            const Digest& policy) {
  NodeDocument made;
  const StorageKey storage = ensure_storage_key(esys, options.algorithm, policy, options.first_handle);
  made.storage_handle = storage.handle;
  made.identity.protection = Protection::tpm;
  made.identity.storage_key = storage.public_area;
  made.identity.attestation_key = make_attestation_key(esys).public_area;
  made.identity.endorsement_key = endorsement_public(esys);
  made.identity.maker = facts.printed();
  return made;
}

void require_signature(const Approvals& approvals, const Digest& policy, const Digest& reference, ByteView signature,
                       const std::string& what) {
  if (p256_verify(p256_point_from_der(approvals.authority_public), approval_message(policy, reference), signature))
    return;
  throw Error(errc::bad_signature, {"adopt", what, "It is not signed by the cluster's authority for this node."});
}

void require_boot_state(const Approvals& approvals, const Approvals::BootState& state) {
  if (state.pcr_digest.size() != (approvals.pcrs.empty() ? 0U : 32U)) {
    throw Error(errc::invalid_argument, {"adopt", "a boot state", "Its digest does not fit the bound PCRs."});
  }
  const Digest node = node_reference(approvals.cluster, approvals.node);
  const auto policy = [&](TpmCommand command) { return boot_state_policy(approvals.pcrs, state.pcr_digest, command); };
  require_signature(approvals, policy(TpmCommand::create), node, state.create, "a boot state (create)");
  require_signature(approvals, policy(TpmCommand::load), node, state.load, "a boot state (load)");
  require_signature(approvals, policy(TpmCommand::import), node, state.import, "a boot state (import)");
}

// Loads a stored KEK. A blob that fails its integrity under the very storage key that the KEK was made under is not a
// sign of a cleared TPM: the file holds another KEK's blob, or an altered one.
Transient load_stored(ESYS_CONTEXT* esys, const Parent& parent, const StoredKek& stored, ByteView name) {
  try {
    return load_kek(esys, parent, {stored.record.public_area, stored.blob}, name);
  } catch (const Error& error) {
    if (error.code() != errc::tpm_cleared || stored.record.birth.empty()) throw;
    if (birth_parent(stored.record.birth) != reported_name(esys, parent.key)) throw;
  }
  throw Error(errc::impostor_kek,
              {"load", generation_text(stored.record.generation),
               "Its file was replaced or altered while the TPM is the same: restore the file, or open "
               "the volumes with the recovery key (volcryptctl recovery open)."});
}

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
  auto fresh = std::make_unique<Connection>(options_.tcti);
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

// Runs a call on the connection. After any answer that a TPM or the way to it made wrong, the connection is given up:
// an ESYS_CONTEXT is dead after most of these, and opening another costs little. One that had died unnoticed, at a
// flush, says so by BAD_SEQUENCE before it does anything: then the call runs once more on a new one.
template <class Call>
auto TpmKekStore::run(Call call) {
  for (int attempt = 1;; ++attempt) {
    try {
      return call(connect());
    } catch (const Error& error) {
      if (error.code().category() != tss_category() && error.code() != errc::tpm_absent) throw;
      disconnect();
      dirty_ = true;
      if (attempt == 2 || error.code() != tss_code(TSS2_ESYS_RC_BAD_SEQUENCE)) throw;
    }
  }
}

void TpmKekStore::open_storage_key(Connection& connection) {
  if (connection.storage) return;
  auto document = read_node_document(files_);
  if (!document) {
    throw Error(errc::wrong_state,
                {"use", "this node's TPM keys", "They were not made yet: run volcryptctl cluster init."});
  }
  const StorageKey recorded{document->storage_handle, document->identity.storage_key};
  connection.storage = open_pinned(connection.esys(), recorded);
  if (connection.storage) return;
  const StorageKey restored = restore_storage_key(connection.esys(), recorded, options_.first_handle);
  document->storage_handle = restored.handle;
  write_node_document(files_, *document);
  connection.storage = open_pinned(connection.esys(), restored);
  if (!connection.storage) throw Error(errc::unknown_outcome, {"keep the storage key in", "the TPM", "Try again."});
}

NodeIdentity TpmKekStore::identity(const IdentityRequest& request) {
  const Bytes authority = authority_name(request.authority_public);
  const Digest policy = storage_policy(authority, request.cluster, request.node);
  files_.bind(request);
  return run([&](Connection& connection) {
    const TpmFacts facts = read_facts(connection.esys());
    require_suitable(facts);
    const auto former = read_node_document(files_);
    if (former && policy_of(former->identity.storage_key) == policy) {
      try {
        open_storage_key(connection);
        NodeIdentity identity = former->identity;
        identity.maker = facts.printed();
        return identity;
      } catch (const Error& error) {
        if (error.code() != errc::tpm_cleared) throw;
      }
    }
    connection.drop_kek();
    self_test(connection.esys(), facts, options_.algorithm);
    const NodeDocument made = make_node_keys(connection.esys(), facts, options_, policy);
    require_approvable(made.identity, authority, request.cluster, request.node);
    write_node_document(files_, made);
    connection.storage.end();
    if (former && former->identity.storage_key != made.identity.storage_key) {
      evict_storage_key(connection.esys(), {former->storage_handle, former->identity.storage_key});
    }
    return made.identity;
  });
}

void TpmKekStore::adopt(const Approvals& approvals) {
  const auto binding = files_.binding();
  if (!binding) {
    throw Error(errc::wrong_state, {"adopt", "approvals", "This node has no keys yet: ask for its identity first."});
  }
  if (binding->authority_public != approvals.authority_public || binding->cluster != approvals.cluster ||
      binding->node != approvals.node) {
    throw Error(errc::bad_signature, {"adopt", "approvals of another authority, cluster or node",
                                      "This node's storage key obeys only those that it was made for."});
  }
  recovery_point_of(approvals.recovery_public);  // its form
  require_signature(approvals, policy_duplication_select(tpm_name(approvals.recovery_public)),
                    kek_reference(approvals.cluster, approvals.trust_epoch), approvals.recovery_approval,
                    "the recovery key's approval");
  if (approvals.boot_states.empty() || approvals.boot_states.size() > 16) {
    throw Error(errc::invalid_argument, {"adopt", "approvals", "They must hold 1 to 16 boot states."});
  }
  for (const Approvals::BootState& state : approvals.boot_states) require_boot_state(approvals, state);
  files_.save(approvals);
}

KekRecord TpmKekStore::create(Generation generation) {
  files_.require_unused(generation);
  const Approvals approvals = files_.get_approvals();
  const Digest proof_input = proof_digest(approvals.cluster, generation, sha256(Secret::random(32).view()));
  const StoredKek made = run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const Parent parent{connection.storage.get(), approvals};
    const Digest purpose = birth_purpose(approvals, generation);
    const NewKek born = create_kek(connection.esys(), parent, purpose);
    StoredKek stored;
    stored.blob = born.blob.private_area;
    stored.record = {generation, Protection::tpm,      tpm_name(born.blob.public_area), born.blob.public_area,
                     {},         approvals.trust_epoch};
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

RecoveryBlob TpmKekStore::duplicate_to_recovery(const KekRecord& record) {
  const Approvals approvals = files_.get_approvals();
  const StoredKek stored = files_.get(record.generation);
  if (stored.record.trust_epoch != approvals.trust_epoch) {
    throw Error(errc::wrong_state, {"duplicate", generation_text(record.generation) + " of an older trust epoch",
                                    "Rotate: a KEK of the present epoch can be duplicated."});
  }
  return run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const Parent parent{connection.storage.get(), approvals};
    const Transient kek = load_stored(connection.esys(), parent, stored, record.name);
    const Duplicate duplicate =
        duplicate_kek(connection.esys(), parent, kek.get(), {approvals.recovery_public, approvals.recovery_approval});
    RecoveryBlob blob;
    blob.generation = record.generation;
    blob.protection = Protection::tpm;
    blob.name = record.name;
    blob.duplicate = duplicate.blob;
    blob.public_area = stored.record.public_area;
    blob.seed = duplicate.seed;
    blob.inner_key = seal_inner_key(recovery_point_of(approvals.recovery_public), approvals.cluster, record.generation,
                                    record.name, duplicate.inner_key);
    return blob;
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
