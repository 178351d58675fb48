// Length-prefixed encoding and SHA-256, see canonical.hpp. OpenSSL does the hashing.
#include "dmtarget/canonical.hpp"

#include <openssl/evp.h>

#include <limits>

#include "dmtarget/error.hpp"

namespace volcrypt {
namespace {

void append_big_endian(Bytes& out, std::uint64_t number, unsigned bytes) {
  while (bytes-- > 0) out.push_back(static_cast<std::uint8_t>(number >> (8 * bytes)));
}

}  // namespace

Canonical& Canonical::add(std::string_view text) { return add(as_bytes(text)); }

Canonical& Canonical::add(ByteView bytes) {
  if (bytes.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(errc::limit_exceeded, {"encode", "a field of 4 GiB or more", ""});
  }
  append_big_endian(bytes_, bytes.size(), 4);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

Canonical& Canonical::add(std::uint64_t number) {
  append_big_endian(bytes_, 8, 4);
  append_big_endian(bytes_, number, 8);
  return *this;
}

Digest Canonical::sha256() const { return volcrypt::sha256(bytes_); }

Digest sha256(ByteView bytes) {
  Digest digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
      size != digest.size()) {
    throw Error(errno_code(ENOTSUP),
                {"compute SHA-256 with", "OpenSSL", "Check the installed OpenSSL and its configuration."});
  }
  return digest;
}

}  // namespace volcrypt
