// The key that this node proves on port 4007: P-256, in the KeptFile "tls-key", mode 0600, in TPM mode and software
// mode alike. It opens no KEK: who has it can speak as this node, and gets what the cluster sends to this node, sealed
// to its TPM or node key. Blocking. Format: as the node key's (node_key.hpp), plain.
#pragma once

#include <filesystem>
#include <memory>

#include "dmtarget/secret.hpp"

struct evp_pkey_st;

namespace volcrypt::keys {

// The stored key, or a new one that is stored first when there is none. As OpenSSL's own object, its private number in
// the secure heap. Throws errc::store_damaged for a file that is not the format, and as KeptFile does.
std::shared_ptr<evp_pkey_st> open_or_make_tls_key(const std::filesystem::path& directory);

// p256.cpp's: a pair as OpenSSL has it. errc::invalid_argument when the scalar is out of range.
std::shared_ptr<evp_pkey_st> p256_openssl_key(const Secret& scalar);

}  // namespace volcrypt::keys
