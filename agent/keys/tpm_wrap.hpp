// The outer wrap of a TPM's protected storage, by which duplicates and credentials travel, in software: keys from a
// seed, the seed from a key agreement, the cipher; and a reader of what TPMs marshal. OpenSSL. Any thread.
// Source: TPM 2.0 Part 1 sections 11.4.10 (KDFa, KDFe), 22 and 24 (protected storage, credentials), annex C.6.
#pragma once

#include <string_view>

#include "dmtarget/bytes.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

inline constexpr std::size_t outer_key_size = 16;  // AES-128: the symmetric algorithm of every parent of ours

// KDFa with SHA-256, up to 32 bytes: HMAC(key, 1 || label || 0 || context || bits).
Secret kdfa(const Secret& key, std::string_view label, ByteView context, std::size_t size);
// KDFe with SHA-256, 32 bytes: SHA256(1 || shared || label || 0 || ephemeral.x || own.x). Coordinates have 32 bytes.
Secret kdfe(const Secret& shared, std::string_view label, ByteView ephemeral_x, ByteView own_x);

// AES-CFB with 128-bit feedback and an IV of zeros. errc::wrong_key for a key of another size than 16 or 32 bytes.
Secret cfb_decrypt(const Secret& key, ByteView ciphertext);
Bytes cfb_encrypt(const Secret& key, ByteView plaintext);

// HMAC under KDFa(seed, "INTEGRITY") of what is encrypted and the object's Name. 32 bytes.
Secret outer_integrity(const Secret& seed, ByteView encrypted, ByteView name);

// Takes big-endian sizes and pieces out of bytes from outside; a piece that is not there is `refusal`, thrown.
class TpmReader {
 public:
  TpmReader(ByteView bytes, const Error& refusal) : rest_(bytes), refusal_(refusal) {}
  TpmReader(ByteView bytes, const Error&& refusal) = delete;  // it is kept by reference

  ByteView raw(std::size_t size) {
    if (rest_.size() < size) throw Error(refusal_);
    const ByteView part = rest_.first(size);
    rest_ = rest_.subspan(size);
    return part;
  }
  std::uint16_t u16() {
    const ByteView two = raw(2);
    return std::uint16_t(two[0] << 8 | two[1]);
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  ByteView sized() { return raw(u16()); }  // TPM2B
  ByteView rest() const { return rest_; }
  void finish() const {
    if (!rest_.empty()) throw Error(refusal_);
  }

 private:
  ByteView rest_;
  const Error& refusal_;
};

}  // namespace volcrypt::keys
