// See tpm_wrap.hpp. What is derived lives in Secrets.
#include "agent/keys/tpm_wrap.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "agent/keys/symmetric.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::size_t digest_size = 32;

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void append_u32(Bytes& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(std::uint8_t(value >> shift));
}

enum class Way { encrypt, decrypt };

void cfb(Way way, const Secret& key, ByteView from, std::uint8_t* to) {
  if (key.size() != 16 && key.size() != 32) {
    throw Error(errc::wrong_key, {"use", "an AES key of " + std::to_string(key.size()) + " bytes", ""});
  }
  const EVP_CIPHER* cipher = key.size() == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
  const std::unique_ptr<EVP_CIPHER_CTX, FreeWith<&EVP_CIPHER_CTX_free>> context(EVP_CIPHER_CTX_new());
  const std::array<std::uint8_t, 16> zeros{};
  int size = 0;
  if (!context ||
      EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), zeros.data(), way == Way::encrypt ? 1 : 0) != 1 ||
      EVP_CipherUpdate(context.get(), to, &size, from.data(), int(from.size())) != 1 ||
      std::size_t(size) != from.size()) {
    throw Error(errc::wrong_state, {way == Way::encrypt ? "encrypt" : "decrypt", "through OpenSSL",
                                    "Check the memory and the OpenSSL 3 installation."});
  }
}

}  // namespace

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

// Hashed in pieces: the shared coordinate is secret.
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

Secret cfb_decrypt(const Secret& key, ByteView ciphertext) {
  Secret plain(ciphertext.size());
  cfb(Way::decrypt, key, ciphertext, plain.data());
  return plain;
}

Bytes cfb_encrypt(const Secret& key, ByteView plaintext) {
  Bytes ciphertext(plaintext.size());
  cfb(Way::encrypt, key, plaintext, ciphertext.data());
  return ciphertext;
}

Secret outer_integrity(const Secret& seed, ByteView encrypted, ByteView name) {
  Bytes covered(encrypted.begin(), encrypted.end());
  append(covered, name);
  return hmac_sha256(kdfa(seed, "INTEGRITY", {}, digest_size), covered);
}

}  // namespace volcrypt::keys
