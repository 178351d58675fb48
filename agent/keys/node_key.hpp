// The node key of software mode: one P-256 key in a KeptFile "node-key", plain (mode 0600) or under a passphrase or
// credential. Blocking. Format: the line "volcrypt node key 1 plain" or "... sealed", the point (65 bytes), then the
// scalar (32), or salt (32), nonce (12) and the scalar sealed by AES-256-GCM under scrypt's key (48).
#pragma once

#include <optional>

#include "agent/keys/kept_file.hpp"
#include "agent/keys/p256.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

// Makes a new key and stores it; an existing file must not be there.
P256Pair make_node_key(const KeptFile& file, const std::optional<Secret>& lock);

// Empty when there is none. A plain file is sealed when a lock is given. errc::wrong_passphrase when the lock is
// another or missing, errc::store_damaged for anything that is not the format above.
std::optional<P256Pair> open_node_key(const KeptFile& file, const std::optional<Secret>& lock);

}  // namespace volcrypt::keys
