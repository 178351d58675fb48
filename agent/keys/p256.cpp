// P-256 by OpenSSL 3.0's EVP interface; see p256.hpp. Private numbers are BIGNUMs of the secure heap.
#include "agent/keys/p256.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "agent/keys/tls_key.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, FreeWith<&EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<&EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<&EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, FreeWith<&BN_clear_free>>;
using Group = std::unique_ptr<EC_GROUP, FreeWith<&EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, FreeWith<&EC_POINT_clear_free>>;
using NumberContext = std::unique_ptr<BN_CTX, FreeWith<&BN_CTX_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<&OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<&OSSL_PARAM_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, FreeWith<&ECDSA_SIG_free>>;

[[noreturn]] void refuse(const char* what) {
  throw Error(errc::invalid_argument, {"use the P-256 key", what, "The key or the file that holds it is damaged."});
}

// What OpenSSL does not explain in any useful way: out of memory, or a build without the curve.
void require(bool done, const char* operation) {
  if (!done)
    throw Error(errc::wrong_state, {operation, "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
}

Group curve() {
  Group group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  require(group != nullptr, "load the curve P-256");
  return group;
}

Number secure_number(const Secret& scalar) {
  if (scalar.size() != p256_scalar_size) refuse("private number of the wrong size");
  Number number(BN_secure_new());
  require(number && BN_bin2bn(scalar.data(), int(scalar.size()), number.get()), "read the private number");
  return number;
}

Pkey key_from(ByteView point, const BIGNUM* private_number) {
  const Builder builder(OSSL_PARAM_BLD_new());
  require(builder && OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
              OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1,
          "build a P-256 key");
  if (private_number != nullptr) {
    require(OSSL_PARAM_BLD_push_BN_pad(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, private_number, p256_scalar_size) == 1,
            "build a P-256 key");
  }
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  require(params && context && EVP_PKEY_fromdata_init(context.get()) == 1, "build a P-256 key");
  EVP_PKEY* raw = nullptr;
  const int selection = private_number != nullptr ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (EVP_PKEY_fromdata(context.get(), &raw, selection, params.get()) != 1) refuse("not a point of the curve");
  return Pkey(raw);
}

Pkey public_key(ByteView point) {
  require_p256_point(point);
  return key_from(point, nullptr);
}

Pkey private_key(const Secret& scalar) {
  const Bytes point = p256_point(scalar);
  const Number number = secure_number(scalar);
  return key_from(point, number.get());
}

}  // namespace

std::shared_ptr<evp_pkey_st> p256_openssl_key(const Secret& scalar) { return private_key(scalar); }

P256Pair generate_p256() {
  Secret scalar(p256_scalar_size);  // first: it makes sure that there is a secure heap for the number
  const Group group = curve();
  const Number number(BN_secure_new());
  require(number && BN_priv_rand_range_ex(number.get(), EC_GROUP_get0_order(group.get()), 0, nullptr) == 1 &&
              BN_is_zero(number.get()) == 0,
          "draw a private number");
  require(BN_bn2binpad(number.get(), scalar.data(), p256_scalar_size) == int(p256_scalar_size),
          "draw a private number");
  Bytes point = p256_point(scalar);
  return {std::move(scalar), std::move(point)};
}

Bytes p256_point(const Secret& scalar) {
  const Group group = curve();
  const Number number = secure_number(scalar);
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0) {
    refuse("private number out of range");
  }
  const NumberContext context(BN_CTX_secure_new());
  const Point product(EC_POINT_new(group.get()));
  Bytes point(p256_point_size);
  require(context && product &&
              EC_POINT_mul(group.get(), product.get(), number.get(), nullptr, nullptr, context.get()) == 1 &&
              EC_POINT_point2oct(group.get(), product.get(), POINT_CONVERSION_UNCOMPRESSED, point.data(), point.size(),
                                 context.get()) == p256_point_size,
          "compute a public point");
  return point;
}

void require_p256_point(ByteView point) {
  if (point.size() != p256_point_size || point[0] != POINT_CONVERSION_UNCOMPRESSED) refuse("not an uncompressed point");
  const Group group = curve();
  const Point parsed(EC_POINT_new(group.get()));
  // oct2point checks the curve's equation; the cofactor is 1, so no further check is due.
  if (!parsed || EC_POINT_oct2point(group.get(), parsed.get(), point.data(), point.size(), nullptr) != 1) {
    refuse("not a point of the curve");
  }
}

Bytes p256_public_der(ByteView point) {
  const Pkey key = public_key(point);
  std::uint8_t* raw = nullptr;
  const int size = i2d_PUBKEY(key.get(), &raw);
  require(size > 0, "encode a public key");
  Bytes der(raw, raw + size);
  OPENSSL_free(raw);
  return der;
}

Bytes p256_point_from_der(ByteView subject_public_key_info) {
  // A P-256 SubjectPublicKeyInfo with an uncompressed point has one DER spelling: a fixed head and the point at its
  // end.
  if (subject_public_key_info.size() < p256_point_size) refuse("not a public key in DER");
  const ByteView point = subject_public_key_info.last(p256_point_size);
  require_p256_point(point);
  const Bytes canonical = p256_public_der(point);
  if (!std::ranges::equal(canonical, subject_public_key_info)) refuse("not a P-256 public key in DER");
  return {point.begin(), point.end()};
}

Secret p256_shared_x(const Secret& scalar, ByteView point) {
  const Pkey peer = public_key(point);
  const Pkey own = private_key(scalar);
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr));
  Secret shared(p256_scalar_size);
  std::size_t size = shared.size();
  require(context && EVP_PKEY_derive_init(context.get()) == 1 &&
              EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
              EVP_PKEY_derive(context.get(), shared.data(), &size) == 1 && size == shared.size(),
          "agree on a key by ECDH");
  return shared;
}

Bytes p256_sign(const Secret& scalar, ByteView message) {
  const Pkey key = private_key(scalar);
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  require(context &&
              EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key.get(), nullptr) == 1 &&
              EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) == 1,
          "sign");
  Bytes signature(size);
  require(EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1, "sign");
  signature.resize(size);
  return signature;
}

bool p256_verify(ByteView point, ByteView message, ByteView signature) {
  const Pkey key = public_key(point);
  const DigestContext context(EVP_MD_CTX_new());
  require(
      context && EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key.get(), nullptr) == 1,
      "check a signature");
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

EcdsaNumbers ecdsa_numbers(ByteView signature) {
  const std::uint8_t* at = signature.data();
  const Signature parsed(d2i_ECDSA_SIG(nullptr, &at, long(signature.size())));
  EcdsaNumbers numbers{};
  if (!parsed || at != signature.data() + signature.size() ||
      BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), numbers.r.data(), int(numbers.r.size())) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), numbers.s.data(), int(numbers.s.size())) < 0) {
    throw Error(errc::bad_signature, {"read", "the ECDSA signature", "Ask the authority to sign again."});
  }
  return numbers;
}

}  // namespace volcrypt::keys
