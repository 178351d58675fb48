// The two policy sessions of the design, ready for their one command: for the storage key (this boot state and one
// command, as the authority signed) and for duplication (one new parent, as the authority signed). The TPM's worker
// thread. Source: TPM 2.0 Part 3 section 23; TPM facts sections 2 to 4.
#pragma once

#include "agent/keys/kek_store.hpp"
#include "agent/keys/tpm/tpm_session.hpp"
#include "agent/keys/tpm_digests.hpp"

namespace volcrypt::keys::tpm {

// Authorises `command` (create, load or import) on the storage key. errc::sealed_out when no approved state fits the
// PCRs. Needs one transient slot for a moment (the authority's public key), none afterwards.
PolicySession storage_key_session(ESYS_CONTEXT* esys, const Approvals& approvals, TpmCommand command);

struct DuplicationTarget {
  ByteView kek_name;
  ByteView parent_name;
  std::uint64_t trust_epoch;  // of the KEK
  ByteView approval;          // the authority's signature (DER) over dup(parent) and kekRef(cluster, epoch)
};
// Authorises TPM2_Duplicate of the KEK towards the one parent. errc::bad_signature when the approval is for another.
PolicySession duplication_session(ESYS_CONTEXT* esys, const Approvals& approvals, const DuplicationTarget& target);

// The Name of the authority as a TPM object, from its SubjectPublicKeyInfo.
Bytes authority_name(ByteView authority_public_der);

}  // namespace volcrypt::keys::tpm
