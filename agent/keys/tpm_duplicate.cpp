// Outer and inner unwrap of a TPM duplicate; see tpm_duplicate.hpp. Everything derived lives in Secrets.
#include "agent/keys/tpm_duplicate.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "agent/keys/p256.hpp"
#include "agent/keys/symmetric.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::uint16_t alg_keyedhash = 0x0008;
constexpr std::size_t coordinate_size = 32, digest_size = 32, outer_key_size = 16;

[[noreturn]] void wrong() {
  throw Error(errc::wrong_key, {"open", "a TPM's recovery blob",
                                "It is for another recovery key, or was changed; try another copy of the bundle."});
}

// Reads big-endian sizes and pieces out of a view; a piece that is not there is one more way to be wrong.
class Unmarshal {
 public:
  explicit Unmarshal(ByteView bytes) : rest_(bytes) {}
  ByteView raw(std::size_t size) {
    if (rest_.size() < size) wrong();
    const ByteView part = rest_.first(size);
    rest_ = rest_.subspan(size);
    return part;
  }
  std::uint16_t u16() {
    const ByteView two = raw(2);
    return std::uint16_t(two[0] << 8 | two[1]);
  }
  ByteView sized() { return raw(u16()); }
  ByteView rest() const { return rest_; }
  void finish() const {
    if (!rest_.empty()) wrong();
  }

 private:
  ByteView rest_;
};

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void append_u32(Bytes& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(std::uint8_t(value >> shift));
}

// KDFa with SHA-256 for up to 256 bits: HMAC(key, 1 || label || 0 || context || bits). Part 1, section 11.4.10.2.
Secret kdfa(const Secret& key, std::string_view label, ByteView context, std::size_t size) {
  Bytes input;
  append_u32(input, 1);
  append(input, as_bytes(label));
  input.push_back(0);
  append(input, context);
  append_u32(input, std::uint32_t(size * 8));
  const Secret block = hmac_sha256(key, input);
  return Secret::copy_of(block.view().first(size));
}

// KDFe: SHA256(1 || Z || label || 0 || ephemeral.x || own.x). Part 1, section 11.4.10.3. Hashed in pieces: Z is secret.
Secret kdfe(const Secret& shared, std::string_view label, ByteView ephemeral_x, ByteView own_x) {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<&EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const std::uint8_t counter[] = {0, 0, 0, 1}, zero[] = {0};
  Secret seed(digest_size);
  bool done = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (const ByteView part : {ByteView(counter), shared.view(), as_bytes(label), ByteView(zero), ephemeral_x, own_x}) {
    done = done && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  if (!done || EVP_DigestFinal_ex(context.get(), seed.data(), nullptr) != 1) {
    throw Error(errc::wrong_state,
                {"derive a seed", "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
  }
  return seed;
}

// AES-CFB with 128-bit feedback and an IV of zeros, as protected storage has it.
Secret cfb_decrypt(const Secret& key, ByteView ciphertext) {
  const EVP_CIPHER* cipher = key.size() == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
  if (key.size() != 16 && key.size() != 32) wrong();
  const std::unique_ptr<EVP_CIPHER_CTX, FreeWith<&EVP_CIPHER_CTX_free>> context(EVP_CIPHER_CTX_new());
  const std::array<std::uint8_t, 16> zeros{};
  Secret plain(ciphertext.size());
  int size = 0;
  if (!context || EVP_DecryptInit_ex(context.get(), cipher, nullptr, key.data(), zeros.data()) != 1 ||
      EVP_DecryptUpdate(context.get(), plain.data(), &size, ciphertext.data(), int(ciphertext.size())) != 1 ||
      std::size_t(size) != ciphertext.size()) {
    throw Error(errc::wrong_state, {"decrypt", "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
  }
  return plain;
}

Secret seed_of(ByteView encrypted_seed, const Secret& recovery_scalar) {
  Unmarshal reader(encrypted_seed);
  const ByteView x = reader.sized(), y = reader.sized();
  reader.finish();
  if (x.size() > coordinate_size || y.size() > coordinate_size) wrong();
  Bytes point(p256_point_size);  // some TPMs strip leading zeros
  point[0] = 0x04;
  std::ranges::copy(x, point.begin() + 1 + std::ptrdiff_t(coordinate_size - x.size()));
  std::ranges::copy(y, point.end() - std::ptrdiff_t(y.size()));
  try {
    require_p256_point(point);
  } catch (const Error&) {
    wrong();
  }
  const Secret shared = p256_shared_x(recovery_scalar, point);
  const Bytes own = p256_point(recovery_scalar);
  return kdfe(shared, "DUPLICATE", ByteView(point).subspan(1, coordinate_size),
              ByteView(own).subspan(1, coordinate_size));
}

// Checks the HMAC over ciphertext and Name, then takes the outer encryption off.
Secret take_outer_off(const DuplicateParts& parts, const Secret& seed) {
  Unmarshal reader(parts.duplicate);
  const ByteView integrity = reader.sized();
  Bytes covered(reader.rest().begin(), reader.rest().end());
  append(covered, parts.name);
  const Secret expected = hmac_sha256(kdfa(seed, "INTEGRITY", {}, digest_size), covered);
  if (integrity.size() != digest_size || CRYPTO_memcmp(integrity.data(), expected.data(), digest_size) != 0) wrong();
  return cfb_decrypt(kdfa(seed, "STORAGE", parts.name, outer_key_size), reader.rest());
}

// SHA-256 of the sized sensitive area and the Name, without a copy of the former outside a Secret.
bool inner_integrity_holds(ByteView digest, ByteView sensitive, ByteView name) {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<&EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  Digest computed{};
  return context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
         EVP_DigestUpdate(context.get(), sensitive.data(), sensitive.size()) == 1 &&
         EVP_DigestUpdate(context.get(), name.data(), name.size()) == 1 &&
         EVP_DigestFinal_ex(context.get(), computed.data(), nullptr) == 1 && std::ranges::equal(digest, computed);
}

}  // namespace

OpenedDuplicate open_duplicate(const DuplicateParts& parts, const Secret& recovery_scalar, const Secret& inner_key) {
  const Secret inner = take_outer_off(parts, seed_of(parts.seed, recovery_scalar));
  const Secret plain = cfb_decrypt(inner_key, inner.view());
  Unmarshal reader(plain.view());
  const ByteView integrity = reader.sized();
  if (!inner_integrity_holds(integrity, reader.rest(), parts.name)) wrong();
  Unmarshal sensitive(reader.sized());
  reader.finish();
  if (sensitive.u16() != alg_keyedhash) wrong();
  sensitive.sized();  // authValue: empty by design, padded to 32 zero bytes by the TPM
  const ByteView seed_value = sensitive.sized(), key = sensitive.sized();
  sensitive.finish();
  if (seed_value.size() != digest_size || key.size() != key_size) wrong();
  return {Secret::copy_of(key), Secret::copy_of(seed_value)};
}

}  // namespace volcrypt::keys
