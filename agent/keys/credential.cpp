// See credential.hpp.
#include "agent/keys/credential.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <memory>

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "agent/keys/tpm_wrap.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::size_t seed_size = 32, coordinate_size = 32;
constexpr char label[] = "IDENTITY";

[[noreturn]] void openssl_failed() {
  throw Error(errc::wrong_state,
              {"make a credential", "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
}

template <class T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<Free>>;

Owned<EVP_PKEY, &EVP_PKEY_free> rsa_key(ByteView modulus) {
  const Owned<BIGNUM, &BN_free> n(BN_bin2bn(modulus.data(), int(modulus.size()), nullptr));
  const Owned<OSSL_PARAM_BLD, &OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  if (!n || !builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_ulong(builder.get(), OSSL_PKEY_PARAM_RSA_E, 65537) != 1) {
    openssl_failed();
  }
  const Owned<OSSL_PARAM, &OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const Owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    openssl_failed();
  }
  return Owned<EVP_PKEY, &EVP_PKEY_free>(key);
}

// OAEP with SHA-256; the label's terminating zero is part of it.
Bytes oaep(ByteView modulus, const Secret& seed) {
  const auto key = rsa_key(modulus);
  const Owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  void* copy = OPENSSL_memdup(label, sizeof(label));  // the context's, once it was taken
  Bytes encrypted(modulus.size());
  std::size_t size = encrypted.size();
  const bool prepared = context && EVP_PKEY_encrypt_init(context.get()) == 1 &&
                        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
                        EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) == 1 &&
                        EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) == 1;
  if (!prepared || EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, int(sizeof(label))) != 1) {
    OPENSSL_free(copy);
    openssl_failed();
  }
  if (EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, seed.data(), seed.size()) != 1) openssl_failed();
  encrypted.resize(size);
  return encrypted;
}

void append_sized(Bytes& to, ByteView bytes) {
  to.push_back(std::uint8_t(bytes.size() >> 8));
  to.push_back(std::uint8_t(bytes.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

struct Seed {
  Secret value;
  Bytes encrypted;
};

Seed seed_towards(const EndorsementPublic& endorsement) {
  if (!endorsement.modulus.empty()) {
    Secret value = Secret::random(seed_size);
    Bytes encrypted = oaep(endorsement.modulus, value);
    return {std::move(value), std::move(encrypted)};
  }
  const P256Pair ephemeral = generate_p256();
  const auto x = [](ByteView point) { return point.subspan(1, coordinate_size); };
  Bytes point;  // TPMS_ECC_POINT
  append_sized(point, x(ephemeral.point));
  append_sized(point, ByteView(ephemeral.point).last(coordinate_size));
  const Secret shared = p256_shared_x(ephemeral.scalar, endorsement.point);
  return {kdfe(shared, label, x(ephemeral.point), x(endorsement.point)), std::move(point)};
}

}  // namespace

Credential make_credential(ByteView endorsement_public, ByteView object_name, const Secret& secret) {
  if (secret.size() > 32) throw Error(errc::invalid_argument, {"make", "a credential of more than 32 bytes", ""});
  const Seed seed = seed_towards(endorsement_public_of(endorsement_public));
  Secret plain(secret.size() + 2);  // TPM2B_DIGEST
  plain.data()[1] = std::uint8_t(secret.size());
  std::copy_n(secret.data(), secret.size(), plain.data() + 2);
  const Bytes encrypted = cfb_encrypt(kdfa(seed.value, "STORAGE", object_name, outer_key_size), plain.view());
  Credential credential{{}, seed.encrypted};
  append_sized(credential.blob, outer_integrity(seed.value, encrypted, object_name).view());
  credential.blob.insert(credential.blob.end(), encrypted.begin(), encrypted.end());
  return credential;
}

}  // namespace volcrypt::keys
