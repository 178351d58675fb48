// KekStore: this node's holder of KEK generations, in two kinds (TPM, software) on one conformance suite. A KEK never
// leaves it; it gives one HMAC per DEK group. Blocking and not thread-safe: one worker thread calls it.
// Objects and command sequences: README of this folder (from DESIGN.md section 3 and the TPM facts).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::keys {

using Generation = std::uint64_t;  // 1, 2, 3, ...; never used twice; 0 means "none"

enum class Protection { tpm, software };

// What every member must know of a generation to recognise it; goes to the cluster's store, authenticated by use.
struct KekRecord {
  Generation generation = 0;
  Protection protection = Protection::tpm;
  Bytes name;         // TPM: the object's Name (34 bytes); software: 000b followed by the key check value
                      // SHA256(canonical("volcrypt kek name v1", cluster, g, key))
  Bytes public_area;  // TPM: TPMT_PUBLIC as marshalled; software: empty
  Bytes birth;        // TPM: creation attestation and signature by the creator's attestation key; software: empty
  std::uint64_t trust_epoch = 0;
};

// A KEK as only the recovery key can open it (keys/recovery.hpp); kept with the cluster state and on every node.
struct RecoveryBlob {
  Generation generation = 0;
  Protection protection = Protection::tpm;
  Bytes name;         // of the KEK inside
  Bytes duplicate;    // TPM: TPM2B_PRIVATE content from TPM2_Duplicate; software: AES-256-GCM box
  Bytes public_area;  // TPM: TPMT_PUBLIC of the KEK, so that its Name can be computed again; software: empty
  Bytes seed;         // TPM: encrypted seed towards the recovery key; software: ephemeral P-256 point
  Bytes inner_key;    // TPM: inner wrapper key, itself encrypted to the recovery key; software: empty
};

// What a node's keys are bound to: the storage key's policy names the authority and the node (TPM facts section 2, P2).
struct IdentityRequest {
  Bytes authority_public;  // SubjectPublicKeyInfo DER of the P-256 authority key
  Uuid cluster;
  Uuid node;
  bool operator==(const IdentityRequest&) const = default;
};

// Who this node is towards the authority: goes to cluster init or join, is signed into the membership document.
struct NodeIdentity {
  Protection protection = Protection::tpm;
  Bytes storage_key;      // TPM: TPMT_PUBLIC of the storage parent; software: P-256 point (65 bytes, uncompressed)
  Bytes attestation_key;  // TPM: TPMT_PUBLIC of the AK; software: empty
  Bytes endorsement_key;  // TPM: TPMT_PUBLIC of the EK; software: empty
  std::string maker;      // TPM: manufacturer and firmware version, as printed; software: "software"
};

// "KEKs of this trust epoch may be duplicated to that storage key": never expires, so an epoch ends it, not a date.
struct DuplicationApproval {
  std::uint64_t trust_epoch = 0;
  Bytes signature;  // TPM: over dup(storage key) for kekRef(cluster, epoch); software: over canonical
};

// Asked of a node that wants to be a member (join_proof.hpp); nothing of it is secret.
struct JoinChallenge {
  Digest nonce{};         // of this question
  Bytes credential;       // TPM: TPM2B_ID_OBJECT's content; software: box to the storage key
  Bytes credential_seed;  // TPM: TPM2B_ENCRYPTED_SECRET's content; software: empty
};
struct JoinProof {
  Secret secret{0};  // what the credential or the box held
  Bytes statement;   // TPM: TPMS_ATTEST of TPM2_Certify for the storage key; software: empty
  Bytes signature;   // over it by the attestation key, ECDSA with SHA-256 in DER; software: empty
};

// What the authority gave this node; part of the membership document. All are signatures by the authority's key.
struct Approvals {
  Bytes authority_public;  // SubjectPublicKeyInfo DER of the P-256 authority key
  Uuid cluster;
  Uuid node;  // node id
  std::uint64_t trust_epoch = 1;
  Bytes recovery_public;    // the recovery key as storage parent: TPMT_PUBLIC (TPM) or P-256 point (software)
  Bytes recovery_approval;  // TPM: signature over dup(recovery parent) for kekRef(cluster, epoch); software: over
                            // canonical
  std::vector<DuplicationApproval> duplication_approvals;  // of this node's storage key; epochs ascending, at most 16
  std::vector<std::uint32_t> pcrs;  // bound PCRs of bank SHA-256, ascending; may be empty (form P0 policies signed)
  struct BootState {                // one approved state of those PCRs
    Bytes pcr_digest;               // SHA256 over the PCR values, as PolicyPCR computes; empty when pcrs is empty
    Bytes create, load, import;     // signatures over (PCR and command) policies for nodeRef(cluster, node)
  };
  std::vector<BootState> boot_states;  // newest last; at most 16
};

// A member as a source of KEKs sees it: from the membership document, which the caller has checked.
struct Peer {
  Uuid node;
  Bytes storage_key;                                       // NodeIdentity::storage_key
  std::vector<DuplicationApproval> duplication_approvals;  // Approvals of that node
};

// A KEK on its way to one member, which alone can open it.
struct KekTransfer {
  KekRecord record;
  Bytes duplicate;      // TPM: TPM2B_PRIVATE content from TPM2_Duplicate; software: box to the peer's storage key
  Bytes seed;           // TPM: encrypted seed towards the peer's storage key; software: empty
  Secret inner_key{0};  // TPM: inner wrapper key; travels inside mutual TLS only and is never stored; software: empty
};

struct BootReport {
  std::vector<std::uint32_t> pcrs;
  std::vector<std::pair<std::uint32_t, Bytes>> values;  // PCR number and SHA-256 value now
  Bytes digest_now;
  bool approved_now = false;  // some BootState matches
};

class KekStore {
 public:
  virtual ~KekStore() = default;

  virtual Protection protection() const = 0;
  // Makes this node's keys (once; the same request again is a no-op) and says who it is. Needs no approvals. May take
  // seconds. Another request replaces binding and approvals while no KEK was ever made; then it throws wrong_state.
  virtual NodeIdentity identity(const IdentityRequest& request) = 0;
  // Proves that the identity's keys are this node's. Needs no approvals. errc::wrong_key when the challenge is for
  // another node. Changes nothing.
  virtual JoinProof answer(const JoinChallenge& challenge) = 0;
  // Checks the signatures and forms, stores them durably. Throws errc::bad_signature, errc::too_old (older epoch).
  virtual void adopt(const Approvals& approvals) = 0;

  // Everything below needs approvals; throws errc::wrong_state without, errc::sealed_out, errc::tpm_cleared,
  // errc::tpm_absent.

  // Makes a KEK, stores its blob durably (write, fsync, rename, fsync directory) and reads it back in a fresh session.
  // A blob of this generation that exists already is an error (errc::already_exists): numbers are never used twice.
  virtual KekRecord create(Generation generation) = 0;
  virtual RecoveryBlob duplicate_to_recovery(const KekRecord& record) = 0;
  // Towards a member whose storage key the authority approved for the KEK's trust epoch, whoever made the KEK.
  // errc::bad_signature when there is no such approval, or it is another's; errc::impostor_kek when what is on this
  // node is not what `record` names. Changes nothing here.
  virtual KekTransfer duplicate_to(const KekRecord& record, const Peer& peer) = 0;
  // Takes over what a member's duplicate_to() gave for this node, and stores its blob durably; whether that can be used
  // is for prove() to show. `attestation_keys` are those of the members (NodeIdentity::attestation_key): in TPM mode
  // the KEK must have been born in one of their TPMs, errc::impostor_kek. In software mode nothing but the caller's
  // trust in the sender and in the record tells a KEK from an impostor. errc::wrong_key when the duplicate is for
  // another node or was altered. Said again, it is a no-op; another KEK of a number that is held or was destroyed here
  // is errc::already_exists. A failure leaves nothing of the generation behind.
  virtual void import(const KekTransfer& transfer, const std::vector<Bytes>& attestation_keys) = 0;
  // Loads from the stored blob in a fresh session, compares Name (errc::impostor_kek), answers HMAC(KEK, challenge)
  // with a challenge digest that can never be a group digest (label "volcrypt kek proof v1"). A generation whose proof
  // found an impostor is refused by group_keys() with the same error until a proof succeeds.
  virtual Digest prove(const KekRecord& record, const Digest& nonce) = 0;
  // Generations whose blob and record are on this node, ascending by number.
  virtual std::vector<KekRecord> held() const = 0;
  // Their numbers, and those of generations whose files are damaged: whoever asks for one of these is told the damage,
  // and must not take it for retired.
  virtual std::vector<Generation> kept() const = 0;
  // G of DESIGN.md section 3 for each group, in one batch: at most one KEK is loaded, one session used, closed at the
  // end. Needs only what is on this node (blob and record side by side). errc::wrong_generation when it is not held.
  // Enough for unwrapping: under an impostor's group key no wrap that was made under the right KEK authenticates.
  virtual std::vector<Secret> group_keys(Generation generation, const std::vector<Uuid>& groups) = 0;
  // The same for wrapping: from the very KEK that `record`, the cluster's, names. errc::impostor_kek when what is on
  // this node is another, which then stands as after a failed prove(). A proof and its use in one, so that no file can
  // be exchanged in between: what is wrapped under an impostor is known to whoever made it.
  virtual std::vector<Secret> proved_group_keys(const KekRecord& record, const std::vector<Uuid>& groups) = 0;
  virtual void destroy(Generation generation) = 0;  // blob overwritten and unlinked; idempotent
  // The bound PCRs; software: nothing bound, approved. Before adopt() it does not throw but reports PCRs 0 to 15 with
  // their values and an empty digest, not approved: `cluster init` chooses among them and computes the digest to be
  // signed.
  virtual BootReport boot_report() = 0;
  // What the operator should mend though everything works: sentences, each with the way out. Empty when nothing.
  virtual std::vector<std::string> warnings() = 0;
  virtual void lock() = 0;  // flushes whatever is loaded; the next use loads again
};

}  // namespace volcrypt::keys
