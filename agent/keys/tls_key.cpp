// The file of the TLS key; see tls_key.hpp.
#include "agent/keys/tls_key.hpp"

#include "agent/keys/node_key.hpp"

namespace volcrypt::keys {

std::shared_ptr<evp_pkey_st> open_or_make_tls_key(const std::filesystem::path& directory) {
  const KeptFile file(directory / "tls-key");
  std::optional<P256Pair> key = open_node_key(file, std::nullopt);
  if (!key) key = make_node_key(file, std::nullopt);
  return p256_openssl_key(key->scalar);
}

}  // namespace volcrypt::keys
