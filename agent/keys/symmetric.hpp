// HMAC, HKDF and AES-256-GCM through OpenSSL, with keys in Secrets only. One call, one result; OpenSSL's contexts live
// no longer than the call and are wiped when they are freed. Any thread. Source: RFC 2104 (HMAC), RFC 5869 (HKDF), NIST
// SP 800-38D (GCM).
#pragma once

#include <array>

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

inline constexpr std::size_t key_size = 32;  // of every symmetric key here
inline constexpr std::size_t gcm_tag_size = 16;
using GcmNonce = std::array<std::uint8_t, 12>;

GcmNonce random_nonce();

Secret hmac_sha256(const Secret& key, ByteView message);  // 32 bytes
Secret hkdf_sha256(const Secret& key, ByteView info);     // 32 bytes, no salt

// Ciphertext followed by the 16-byte tag. One key must never see the same nonce twice.
Bytes gcm_seal(const Secret& key, const GcmNonce& nonce, ByteView authenticated, const Secret& plaintext);
// errc::wrong_key when anything differs: key, nonce, authenticated data, ciphertext, tag. Nothing is released then.
Secret gcm_open(const Secret& key, const GcmNonce& nonce, ByteView authenticated, ByteView sealed);

}  // namespace volcrypt::keys
