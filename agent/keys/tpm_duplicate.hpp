// A TPM's duplicate opened in software by the recovery key: seed by ECDH, outer wrap (integrity and AES-128-CFB), inner
// wrap (AES-CFB under the inner key). Pure OpenSSL. Any thread.
// Source: TPM 2.0 Part 1, "Protected Storage" and annex C.6.4 (ECC seeds), Part 2 section 12.3.2 (TPMT_SENSITIVE).
#pragma once

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

struct OpenedDuplicate {
  Secret key;         // the HMAC key, 32 bytes
  Secret seed_value;  // 32 bytes; with the key it gives the object's unique field
};

struct DuplicateParts {
  ByteView duplicate;  // content of the TPM2B_PRIVATE from TPM2_Duplicate
  ByteView seed;       // content of the TPM2B_ENCRYPTED_SECRET: TPMS_ECC_POINT
  ByteView name;       // of the KEK
};

// errc::wrong_key for another recovery key, inner key or Name, for any change, and for an object that is not a keyed
// hash with 32 bytes of key and seed.
OpenedDuplicate open_duplicate(const DuplicateParts& parts, const Secret& recovery_scalar, const Secret& inner_key);

}  // namespace volcrypt::keys
