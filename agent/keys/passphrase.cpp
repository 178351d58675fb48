// scrypt through OpenSSL; see passphrase.hpp.
#include "agent/keys/passphrase.hpp"

#include <openssl/evp.h>

#include "agent/keys/symmetric.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

Secret passphrase_key(const Secret& passphrase, ByteView salt) {
  // 128 * N * r bytes for the work and some for its blocks; OpenSSL's own limit of 32 MiB is too low for N = 2^17.
  constexpr std::uint64_t memory_limit = 128 * Scrypt::n * Scrypt::r + (1U << 20);
  Secret key(key_size);
  const auto* text = reinterpret_cast<const char*>(passphrase.data());
  if (EVP_PBE_scrypt(text, passphrase.size(), salt.data(), salt.size(), Scrypt::n, Scrypt::r, Scrypt::p, memory_limit,
                     key.data(), key.size()) != 1) {
    throw Error(errc::limit_exceeded,
                {"derive a key from", "the passphrase", "It takes 128 MiB of memory; free some."});
  }
  return key;
}

}  // namespace volcrypt::keys
