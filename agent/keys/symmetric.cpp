// OpenSSL 3.0 EVP calls behind symmetric.hpp.
#include "agent/keys/symmetric.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

using Mac = std::unique_ptr<EVP_MAC, FreeWith<&EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeWith<&EVP_MAC_CTX_free>>;
using Kdf = std::unique_ptr<EVP_KDF, FreeWith<&EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, FreeWith<&EVP_KDF_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<&EVP_CIPHER_CTX_free>>;

void require(bool done, const char* operation) {
  if (!done) {
    throw Error(errc::wrong_state, {operation, "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
  }
}

// OpenSSL's parameters take pointers to non-const, and only read.
OSSL_PARAM octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
}

OSSL_PARAM sha256_parameter(const char* name) {
  static char sha256_name[] = "SHA256";
  return OSSL_PARAM_construct_utf8_string(name, sha256_name, 0);
}

CipherContext gcm(const Secret& key, const GcmNonce& nonce, ByteView authenticated, int encrypt) {
  if (key.size() != key_size) {
    throw Error(errc::invalid_argument,
                {"use", "an AES key that is not of 32 bytes", "This is a fault of the program."});
  }
  CipherContext context(EVP_CIPHER_CTX_new());
  int size = 0;
  require(context &&
              EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data(), encrypt) == 1 &&
              EVP_CipherUpdate(context.get(), nullptr, &size, authenticated.data(), int(authenticated.size())) == 1,
          "set up AES-256-GCM");
  return context;
}

}  // namespace

GcmNonce random_nonce() {
  GcmNonce nonce;
  fill_random(nonce);
  return nonce;
}

Secret hmac_sha256(const Secret& key, ByteView message) {
  const StackWiper wiper;
  const Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  require(mac != nullptr, "find HMAC");
  const MacContext context(EVP_MAC_CTX_new(mac.get()));
  const OSSL_PARAM parameters[] = {sha256_parameter(OSSL_MAC_PARAM_DIGEST), OSSL_PARAM_construct_end()};
  Secret result(key_size);
  std::size_t size = 0;
  require(context && EVP_MAC_init(context.get(), key.data(), key.size(), parameters) == 1 &&
              EVP_MAC_update(context.get(), message.data(), message.size()) == 1 &&
              EVP_MAC_final(context.get(), result.data(), &size, result.size()) == 1 && size == result.size(),
          "compute an HMAC");
  return result;
}

Secret hkdf_sha256(const Secret& key, ByteView info) {
  const StackWiper wiper;
  const Kdf kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  require(kdf != nullptr, "find HKDF");
  const KdfContext context(EVP_KDF_CTX_new(kdf.get()));
  const OSSL_PARAM parameters[] = {sha256_parameter(OSSL_KDF_PARAM_DIGEST), octets(OSSL_KDF_PARAM_KEY, key.view()),
                                   octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  Secret result(key_size);
  require(context && EVP_KDF_derive(context.get(), result.data(), result.size(), parameters) == 1, "derive a key");
  return result;
}

Bytes gcm_seal(const Secret& key, const GcmNonce& nonce, ByteView authenticated, const Secret& plaintext) {
  const StackWiper wiper;
  const CipherContext context = gcm(key, nonce, authenticated, 1);
  Bytes sealed(plaintext.size() + gcm_tag_size);
  int size = 0, rest = 0;
  require(EVP_CipherUpdate(context.get(), sealed.data(), &size, plaintext.data(), int(plaintext.size())) == 1 &&
              EVP_CipherFinal_ex(context.get(), sealed.data() + size, &rest) == 1 &&
              std::size_t(size) + std::size_t(rest) == plaintext.size() &&
              EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, int(gcm_tag_size),
                                  sealed.data() + plaintext.size()) == 1,
          "encrypt a key");
  return sealed;
}

Secret gcm_open(const Secret& key, const GcmNonce& nonce, ByteView authenticated, ByteView sealed) {
  const StackWiper wiper;
  const Error wrong(errc::wrong_key, {"decrypt", "a key", "It was sealed under another key, or was changed."});
  if (sealed.size() < gcm_tag_size) throw wrong;
  const ByteView ciphertext = sealed.first(sealed.size() - gcm_tag_size);
  Bytes tag(sealed.end() - gcm_tag_size, sealed.end());
  const CipherContext context = gcm(key, nonce, authenticated, 0);
  Secret plaintext(ciphertext.size());
  int size = 0, rest = 0;
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, int(tag.size()), tag.data()) == 1, "set a tag");
  if (EVP_CipherUpdate(context.get(), plaintext.data(), &size, ciphertext.data(), int(ciphertext.size())) != 1 ||
      EVP_CipherFinal_ex(context.get(), plaintext.data() + size, &rest) != 1) {
    throw wrong;
  }
  return plaintext;
}

}  // namespace volcrypt::keys
