// See join_proof.hpp.
#include "agent/keys/join_proof.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "agent/keys/box.hpp"
#include "agent/keys/credential.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/symmetric.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "agent/keys/tpm_wrap.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::size_t secret_size = 32;
constexpr std::uint32_t generated_by_tpm = 0xFF544347;
constexpr std::uint16_t statement_of_certify = 0x8017;

Bytes box_context(const Digest& nonce) { return Canonical("volcrypt join challenge v1").add(nonce).bytes(); }

Error refused(const char* reason) { return {errc::bad_signature, {"accept", "a node's proof of its keys", reason}}; }

Digest mac_of(const Secret& secret, const Digest& nonce, const Digest& request) {
  const Secret mac = hmac_sha256(secret, Canonical("volcrypt join answer v1").add(nonce).add(request).bytes());
  Digest shown{};
  std::ranges::copy(mac.view(), shown.begin());
  return shown;
}

bool same(ByteView left, ByteView right) { return std::ranges::equal(left, right); }

}  // namespace

JoinQuestion::JoinQuestion(NodeIdentity identity, const IdentityRequest& request)
    : identity_(std::move(identity)), secret_(Secret::random(secret_size)) {
  const Secret nonce = Secret::random(challenge_.nonce.size());
  std::copy_n(nonce.data(), nonce.size(), challenge_.nonce.begin());
  if (identity_.protection == Protection::software) {
    challenge_.credential = seal_box(identity_.storage_key, box_context(challenge_.nonce), secret_);
    return;
  }
  const Bytes authority = tpm_name(authority_public_area(p256_point_from_der(request.authority_public)));
  require_approvable(identity_, authority, request.cluster, request.node);
  Credential credential = make_credential(identity_.endorsement_key, tpm_name(identity_.attestation_key), secret_);
  challenge_.credential = std::move(credential.blob);
  challenge_.credential_seed = std::move(credential.seed);
}

void JoinQuestion::require(const JoinProof& proof) const {
  if (proof.secret.size() != secret_size || CRYPTO_memcmp(proof.secret.data(), secret_.data(), secret_size) != 0)
    throw refused("It could not open what was encrypted to the keys it claims.");
  require_attested(proof.statement, proof.signature);
}

void JoinQuestion::require(const JoinAnswer& answer, const Digest& request) const {
  const Digest expected = mac_of(secret_, challenge_.nonce, request);
  if (CRYPTO_memcmp(answer.mac.data(), expected.data(), expected.size()) != 0)
    throw refused(
        "It could not open what was encrypted to the keys it claims, or it has said something else of itself.");
  require_attested(answer.statement, answer.signature);
}

void JoinQuestion::require_attested(ByteView statement, ByteView signature) const {
  if (identity_.protection == Protection::software) {
    if (!statement.empty() || !signature.empty()) throw refused("A software node attests nothing.");
    return;
  }
  if (!p256_verify(attestation_point_of(identity_.attestation_key), statement, signature))
    throw refused("Its attestation is not signed by the attestation key it claims.");
  require_certified(statement, identity_.storage_key, challenge_.nonce);
}

JoinAnswer bind_to_request(const JoinProof& proof, const JoinChallenge& challenge, const Digest& request) {
  return {mac_of(proof.secret, challenge.nonce, request), proof.statement, proof.signature};
}

void require_certified(ByteView statement, ByteView storage_key, const Digest& nonce) {
  const Error malformed = refused("Its attestation is no statement about a key.");
  TpmReader reader(statement, malformed);
  if (reader.u32() != generated_by_tpm || reader.u16() != statement_of_certify) throw Error(malformed);
  reader.sized();  // qualifiedSigner
  if (!same(reader.sized(), nonce)) throw refused("It answers another question: ask again.");
  reader.raw(17);  // clock, its resets and restarts, whether it is safe
  reader.raw(8);   // firmwareVersion
  const ByteView name = reader.sized();
  reader.sized();  // qualifiedName
  reader.finish();
  if (!same(name, tpm_name(storage_key))) throw refused("The TPM certifies another storage key than the node claims.");
}

Secret open_join_box(const Secret& storage_scalar, const JoinChallenge& challenge) {
  return open_box(storage_scalar, box_context(challenge.nonce), challenge.credential);
}

}  // namespace volcrypt::keys
