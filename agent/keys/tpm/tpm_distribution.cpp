// TpmKekStore's part in KEKs that travel: out to the recovery key and to other members' TPMs, and in from one of them.
// Source: TPM facts sections 4 to 6.
#include <algorithm>

#include "agent/keys/authority.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/kek_object.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/stored_kek.hpp"
#include "agent/keys/tpm/tpm_kek_connection.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

using namespace tpm;

namespace {

[[noreturn]] void refuse_arrival(Generation generation, const std::string& reason) {
  throw Error(errc::impostor_kek, {"take over", generation_text(generation), reason});
}

// Born as this generation in the TPM of one of the members whose attestation keys these are.
void require_birth(const KekRecord& record, const Uuid& cluster, const std::vector<Bytes>& attestation_keys) {
  const Digest purpose = birth_purpose(cluster, record.generation, record.trust_epoch);
  const bool known = std::ranges::any_of(attestation_keys, [&](const Bytes& attestation_key) {
    if (attestation_key.empty()) return false;  // a member without a TPM
    try {
      check_birth(record.birth, record.name, attestation_key, purpose);
      return true;
    } catch (const Error& error) {
      if (error.code() != errc::impostor_kek) throw;
      return false;
    }
  });
  if (!known) refuse_arrival(record.generation, "No member's TPM certifies that it was made there for this cluster.");
}

}  // namespace

Duplicate TpmKekStore::duplicate(const StoredKek& stored, const Approvals& approvals, ByteView name,
                                 const NewParent& to) {
  return run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const Parent parent{connection.storage.get(), approvals};
    const Transient kek = load_stored(connection.esys(), parent, stored, name);
    return duplicate_kek(connection.esys(), parent, kek.get(), to);
  });
}

RecoveryBlob TpmKekStore::duplicate_to_recovery(const KekRecord& record) {
  const Approvals approvals = files_.get_approvals();
  const StoredKek stored = files_.get(record.generation);
  if (stored.record.trust_epoch != approvals.trust_epoch) {
    throw Error(errc::wrong_state, {"duplicate", generation_text(record.generation) + " of an older trust epoch",
                                    "Rotate: a KEK of the present epoch can be duplicated."});
  }
  const Duplicate made = duplicate(stored, approvals, record.name,
                                   {approvals.recovery_public, approvals.trust_epoch, approvals.recovery_approval});
  RecoveryBlob blob;
  blob.generation = record.generation;
  blob.protection = Protection::tpm;
  blob.name = record.name;
  blob.duplicate = made.blob;
  blob.public_area = stored.record.public_area;
  blob.seed = made.seed;
  blob.inner_key = seal_inner_key(recovery_point_of(approvals.recovery_public), approvals.cluster, record.generation,
                                  record.name, made.inner_key);
  return blob;
}

KekTransfer TpmKekStore::duplicate_to(const KekRecord& record, const Peer& peer) {
  const Approvals approvals = files_.get_approvals();
  const StoredKek stored = files_.get(record.generation);
  const DuplicationApproval& approval =
      duplication_approval_of(peer, approvals, Protection::tpm, stored.record.trust_epoch);
  Duplicate made =
      duplicate(stored, approvals, record.name, {peer.storage_key, approval.trust_epoch, approval.signature});
  return {stored.record, std::move(made.blob), std::move(made.seed), std::move(made.inner_key)};
}

void TpmKekStore::import(const KekTransfer& transfer, const std::vector<Bytes>& attestation_keys) {
  const KekRecord& record = transfer.record;
  const Approvals approvals = files_.get_approvals();
  if (record.protection != Protection::tpm) refuse_arrival(record.generation, "It was made outside of TPMs.");
  require_form(record, approvals);
  if (tpm_name(record.public_area) != record.name)
    refuse_arrival(record.generation, "Its Name and its public area do not belong together.");
  require_birth(record, approvals.cluster, attestation_keys);
  if (files_.is_held(record)) return;
  const StoredKek stored = run([&](Connection& connection) {
    open_storage_key(connection);
    connection.drop_kek();
    const Parent parent{connection.storage.get(), approvals};
    const KekBlob blob = import_kek(connection.esys(), parent, record.public_area,
                                    {transfer.duplicate, transfer.seed, transfer.inner_key});
    load_kek(connection.esys(), parent, blob, record.name).end();
    return StoredKek{record, blob.private_area, reported_name(connection.esys(), connection.storage.get())};
  });
  files_.add(stored);
}

}  // namespace volcrypt::keys
