// The attestation key (restricted signing, derived anew from the owner seed when needed: no slot of NV space), the
// endorsement key, and what they prove: that both are of this TPM, that a key is, and by the birth certificate that the
// KEK of this Name was made in it. The TPM's worker thread; checking needs no TPM. Source: TPM 2.0 Part 3 sections 12.5
// and 18.2, 18.3; Part 2 section 10.12 (attestations); TCG EK Credential Profile 2.0 annex B.
#pragma once

#include "agent/keys/tpm/tpm_object.hpp"
#include "dmtarget/bytes.hpp"

namespace volcrypt::keys::tpm {

struct AttestationKey {
  Transient object;
  Bytes public_area;
};
AttestationKey make_attestation_key(ESYS_CONTEXT* esys);

// TPMT_PUBLIC of the endorsement key: the RSA-2048 default template when the maker left a certificate for it in NV
// (0x01C00002), else the P-256 one. Made and flushed; RSA may take seconds.
Bytes endorsement_public(ESYS_CONTEXT* esys);

// The same key, usable: for one activate_credential().
Transient make_endorsement_key(ESYS_CONTEXT* esys);

// What the credential holds, if it was made for this endorsement key and this attestation key (credential.hpp).
// errc::wrong_key when it was made for others.
Secret activate_credential(ESYS_CONTEXT* esys, const AttestationKey& attestation_key, ByteView blob, ByteView seed);

// TPM2_Certify of a loaded key: TPMS_ATTEST with the nonce in it, and the attestation key's signature as DER.
struct Certified {
  Bytes statement, signature;
};
Certified certify_key(ESYS_CONTEXT* esys, ESYS_TR key, const AttestationKey& attestation_key, const Digest& nonce);

// What TPM2_Create said of the KEK's creation.
struct Creation {
  Returned<TPM2B_CREATION_DATA> data;
  Returned<TPM2B_DIGEST> hash;
  Returned<TPMT_TK_CREATION> ticket;
};

// TPM2B_ATTEST, TPM2B_CREATION_DATA and TPMT_SIGNATURE, marshalled one after the other: KekRecord::birth.
Bytes certify_birth(ESYS_CONTEXT* esys, ESYS_TR kek, const AttestationKey& attestation_key, const Creation& creation);

// Throws errc::impostor_kek unless `birth` is signed by the attestation key and speaks of exactly this KEK's Name, made
// with `purpose` as outside information.
void check_birth(ByteView birth, ByteView kek_name, ByteView attestation_public, const Digest& purpose);

}  // namespace volcrypt::keys::tpm
