// TPM2_MakeCredential in software: a secret that comes out only in the TPM that has this endorsement key *and* an
// object of that Name, by TPM2_ActivateCredential. OpenSSL, no TPM. Any thread. Source: TPM 2.0 Part 1 section 24
// (credential protection), annexes B.10.4 and C.6.1 (seeds).
#pragma once

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

struct Credential {
  Bytes blob;  // TPM2B_ID_OBJECT's content
  Bytes seed;  // TPM2B_ENCRYPTED_SECRET's content
};

// `secret` has at most 32 bytes. errc::tpm_unsuitable when the endorsement key is of no default template.
Credential make_credential(ByteView endorsement_public, ByteView object_name, const Secret& secret);

}  // namespace volcrypt::keys
