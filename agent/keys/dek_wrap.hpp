// Wrapping one volume's DEK under a group key: HKDF-SHA256 to the wrap key W, then AES-256-GCM with the token's
// authenticated data. OpenSSL does the cryptography; no TPM, no device here. Any thread.
// Source: DESIGN.md section 3; RFC 5869 (HKDF); NIST SP 800-38D (GCM).
#pragma once

#include "agent/keys/kek_store.hpp"
#include "dmtarget/secret.hpp"
#include "dmtarget/token.hpp"

namespace volcrypt::keys {

// SHA256(canonical("volcrypt dek group v1", cluster, group, generation)): the input of the one HMAC per group.
Digest group_digest(const Uuid& cluster, const Uuid& group, Generation generation);

// SHA256(canonical("volcrypt kek proof v1", cluster, generation, nonce)): the input of the HMAC that proves a KEK. Its
// label differs from group_digest's, so no proof is ever a group key.
Digest proof_digest(const Uuid& cluster, Generation generation, const Digest& nonce);

// Fills token.nonce (fresh, random) and token.wrapped_dek; every other field must be final. Unwraps once before it
// returns (throws errc::wrong_key if that fails; then the token is unchanged).
void wrap(dm::Token& token, const Secret& group_key, const Secret& dek);

// Throws Error(errc::wrong_key) if the key is another or any authenticated field was changed.
Secret unwrap(const dm::Token& token, const Secret& group_key);

}  // namespace volcrypt::keys
