// DEK wrap and unwrap; see dek_wrap.hpp.
#include "agent/keys/dek_wrap.hpp"

#include <algorithm>

#include "agent/keys/symmetric.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

Secret wrap_key(const dm::Token& token, const Secret& group_key) {
  if (group_key.size() != key_size) {
    throw Error(errc::invalid_argument,
                {"use", "a group key that is not of 32 bytes", "This is a fault of the program."});
  }
  const Canonical info = Canonical("volcrypt dek wrap v1").add(token.cluster).add(token.volume).add(token.generation);
  return hkdf_sha256(group_key, info.bytes());
}

}  // namespace

Digest group_digest(const Uuid& cluster, const Uuid& group, Generation generation) {
  return Canonical("volcrypt dek group v1").add(cluster).add(group).add(generation).sha256();
}

Digest proof_digest(const Uuid& cluster, Generation generation, const Digest& nonce) {
  return Canonical("volcrypt kek proof v1").add(cluster).add(generation).add(nonce).sha256();
}

void wrap(dm::Token& token, const Secret& group_key, const Secret& dek) {
  if (dek.size() != volume_key_size || token.generation == 0 || token.cluster.is_nil() || token.volume.is_nil()) {
    throw Error(errc::invalid_argument, {"wrap the key of", "a volume that is not fully described",
                                         "This is a fault of the program: fill the token first."});
  }
  dm::Token wrapped = token;
  wrapped.nonce = random_nonce();
  const Bytes sealed = gcm_seal(wrap_key(token, group_key), wrapped.nonce, dm::authenticated_data(token), dek);
  std::ranges::copy(sealed, wrapped.wrapped_dek.begin());
  // A fault of the processor or of memory between derivation and encryption would lose the volume: look now.
  if (!equals(unwrap(wrapped, group_key), dek)) {
    throw Error(errc::wrong_key, {"read back the wrapped key of", token.volume.str(), "Try again; check the memory."});
  }
  token = wrapped;
}

Secret unwrap(const dm::Token& token, const Secret& group_key) {
  try {
    return gcm_open(wrap_key(token, group_key), token.nonce, dm::authenticated_data(token), token.wrapped_dek);
  } catch (const Error& error) {
    if (error.code() != errc::wrong_key) throw;
    throw Error(errc::wrong_key,
                {"unwrap the key of", token.volume.str(),
                 "The header was changed, or its key belongs to another KEK; a header backup may help."});
  }
}

}  // namespace volcrypt::keys
