// Box: a short secret that only the holder of one P-256 private key can open, bound to a context. Anybody can make one,
// so what it holds must be proved by other means (a Name, a checksum, use). Any thread.
// Construction: ephemeral ECDH, HKDF-SHA256 over both points and the context, AES-256-GCM with the context
// authenticated.
#pragma once

#include "agent/keys/p256.hpp"
#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

// Ephemeral point (65 bytes), ciphertext, tag (16 bytes). `context` is a canonical encoding whose label names the use.
Bytes seal_box(ByteView recipient_point, ByteView context, const Secret& secret);

// errc::wrong_key for another recipient, context or content.
Secret open_box(const Secret& recipient_scalar, ByteView context, ByteView box);

}  // namespace volcrypt::keys
