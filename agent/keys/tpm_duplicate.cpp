// Outer and inner unwrap of a TPM duplicate; see tpm_duplicate.hpp. Everything derived lives in Secrets.
#include "agent/keys/tpm_duplicate.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "agent/keys/p256.hpp"
#include "agent/keys/symmetric.hpp"
#include "agent/keys/tpm_wrap.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::uint16_t alg_keyedhash = 0x0008;
constexpr std::size_t coordinate_size = 32, digest_size = 32;

Error wrong() {
  return {errc::wrong_key,
          {"open", "a TPM's recovery blob",
           "It is for another recovery key, or was changed; try another copy of the bundle."}};
}

Secret seed_of(ByteView encrypted_seed, const Secret& recovery_scalar) {
  const Error refusal = wrong();
  TpmReader reader(encrypted_seed, refusal);
  const ByteView x = reader.sized(), y = reader.sized();
  reader.finish();
  if (x.size() > coordinate_size || y.size() > coordinate_size) throw wrong();
  Bytes point(p256_point_size);  // some TPMs strip leading zeros
  point[0] = 0x04;
  std::ranges::copy(x, point.begin() + 1 + std::ptrdiff_t(coordinate_size - x.size()));
  std::ranges::copy(y, point.end() - std::ptrdiff_t(y.size()));
  try {
    require_p256_point(point);
  } catch (const Error&) {
    throw wrong();
  }
  const Secret shared = p256_shared_x(recovery_scalar, point);
  const Bytes own = p256_point(recovery_scalar);
  return kdfe(shared, "DUPLICATE", ByteView(point).subspan(1, coordinate_size),
              ByteView(own).subspan(1, coordinate_size));
}

// Checks the HMAC over ciphertext and Name, then takes the outer encryption off.
Secret take_outer_off(const DuplicateParts& parts, const Secret& seed) {
  const Error refusal = wrong();
  TpmReader reader(parts.duplicate, refusal);
  const ByteView integrity = reader.sized();
  const Secret expected = outer_integrity(seed, reader.rest(), parts.name);
  if (integrity.size() != digest_size || CRYPTO_memcmp(integrity.data(), expected.data(), digest_size) != 0)
    throw wrong();
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
  const Error refusal = wrong();
  TpmReader reader(plain.view(), refusal);
  const ByteView integrity = reader.sized();
  if (!inner_integrity_holds(integrity, reader.rest(), parts.name)) throw wrong();
  TpmReader sensitive(reader.sized(), refusal);
  reader.finish();
  if (sensitive.u16() != alg_keyedhash) throw wrong();
  sensitive.sized();  // authValue: empty by design, padded to 32 zero bytes by the TPM
  const ByteView seed_value = sensitive.sized(), key = sensitive.sized();
  sensitive.finish();
  if (seed_value.size() != digest_size || key.size() != key_size) throw wrong();
  return {Secret::copy_of(key), Secret::copy_of(seed_value)};
}

}  // namespace volcrypt::keys
