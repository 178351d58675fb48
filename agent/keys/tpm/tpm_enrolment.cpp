// TpmKekStore's part in who this node is: its keys in the TPM, made once and found again, and the approvals it adopts.
// KEKs are in tpm_kek_store.cpp.
#include "agent/keys/authority.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/capabilities.hpp"
#include "agent/keys/tpm/node_document.hpp"
#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/self_test.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/tpm_kek_connection.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

using namespace tpm;

namespace {

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

}  // namespace

void TpmKekStore::open_storage_key(Connection& connection) {
  if (connection.storage) return;
  auto document = read_node_document(files_);
  if (!document) {
    throw Error(errc::wrong_state,
                {"use", "this node's TPM keys", "They were not made yet: run `volcryptctl cluster init`."});
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

JoinProof TpmKekStore::answer(const JoinChallenge& challenge) {
  return run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const AttestationKey attestation_key = make_attestation_key(connection.esys());
    JoinProof proof;
    proof.secret =
        activate_credential(connection.esys(), attestation_key, challenge.credential, challenge.credential_seed);
    Certified certified = certify_key(connection.esys(), connection.storage.get(), attestation_key, challenge.nonce);
    proof.statement = std::move(certified.statement);
    proof.signature = std::move(certified.signature);
    return proof;
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
  const auto document = read_node_document(files_);
  if (!document) {
    throw Error(errc::wrong_state, {"adopt", "approvals", "This node has no keys yet: ask for its identity first."});
  }
  check_approvals(approvals, Protection::tpm, document->identity.storage_key);
  files_.save(approvals);
}

}  // namespace volcrypt::keys
