// That a node has the keys it claims: asked by whoever is to admit it, answered by its KekStore. In TPM mode the
// attestation key lives in the TPM of the endorsement key (a credential that only that TPM activates), and certifies
// the storage key for this one question; in software mode the storage key opens a box. Checking needs no TPM. What
// makes the endorsement key a true TPM's is its maker's certificate, or the administrator's eye on its fingerprint: not
// here. Any thread. Source: TPM facts section 7; TPM 2.0 Part 2 section 10.12 (TPMS_ATTEST), Part 3 section 18.2.
#pragma once

#include "agent/keys/kek_store.hpp"

namespace volcrypt::keys {

// A proof on its way to whoever asked: what the credential held is shown by a MAC under it, which is over all that the
// node has said of itself, too (`request`, a digest). So a proof is good for nothing else, and nothing secret travels.
struct JoinAnswer {
  Digest mac{};
  Bytes statement, signature;  // as in JoinProof
};
JoinAnswer bind_to_request(const JoinProof& proof, const JoinChallenge& challenge, const Digest& request);

// One question to one node. Keeps what the answer must hold; goes nowhere but its challenge().
class JoinQuestion {
 public:
  // errc::tpm_unsuitable when the identity's keys are not of the forms that may be approved for this authority, cluster
  // and node; errc::invalid_argument when a software identity's key is no point.
  JoinQuestion(NodeIdentity identity, const IdentityRequest& request);

  const JoinChallenge& challenge() const noexcept { return challenge_; }
  // errc::bad_signature for an answer to another question, of another node, or with any change.
  void require(const JoinProof& proof) const;
  // The same for a node that has said this of itself.
  void require(const JoinAnswer& answer, const Digest& request) const;

 private:
  void require_attested(ByteView statement, ByteView signature) const;

  NodeIdentity identity_;
  Secret secret_;
  JoinChallenge challenge_;
};

// What an attestation says, once its signature was checked: that this storage key is in the attesting TPM, said for
// this nonce. errc::bad_signature for any other statement. Apart, because its bytes come from a node that nobody knows
// yet.
void require_certified(ByteView statement, ByteView storage_key, const Digest& nonce);

// The secret in a challenge for a software node, opened with its storage key. errc::wrong_key when it is for another.
Secret open_join_box(const Secret& storage_scalar, const JoinChallenge& challenge);

}  // namespace volcrypt::keys
