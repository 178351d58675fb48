// See stored_kek.hpp.
#include "agent/keys/tpm/stored_kek.hpp"

#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {

Digest birth_purpose(const Uuid& cluster, Generation generation, std::uint64_t trust_epoch) {
  return Canonical("volcrypt kek birth v1").add(cluster).add(generation).add(trust_epoch).sha256();
}

void require_form(const KekRecord& record, const Approvals& approvals) {
  const Bytes authority = authority_name(approvals.authority_public);
  require_kek_form(record.public_area, kek_policy(authority, approvals.cluster, record.trust_epoch));
}

Transient load_stored(ESYS_CONTEXT* esys, const Parent& parent, const StoredKek& stored, ByteView name) {
  require_form(stored.record, parent.approvals);
  try {
    return load_kek(esys, parent, {stored.record.public_area, stored.blob}, name);
  } catch (const Error& error) {
    if (error.code() != errc::tpm_cleared || stored.parent != reported_name(esys, parent.key)) throw;
  }
  throw Error(errc::impostor_kek,
              {"load", generation_text(stored.record.generation),
               "Its file was replaced or altered while the TPM is the same: restore the file, or open "
               "the volumes with the recovery key (`volcryptctl recovery open --device DEVICE --bundle FILE "
               "--recovery-file FILE`)."});
}

}  // namespace volcrypt::keys::tpm
