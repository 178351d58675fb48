// The membership document: who the cluster is and which keys count, signed by the authority. One node today; the format
// already holds many. Strict JSON with one spelling (the signed bytes are kept as they came). Pure. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::cluster {

inline constexpr std::size_t max_membership_bytes =
    480 * 1024;  // signed and quoted, it still fits one value of the store
inline constexpr std::size_t max_members = 256;

struct MemberEntry {
  Uuid node;
  std::string name;
  std::vector<std::string> addresses;  // empty on one node
  Bytes tls_fingerprint;               // SHA-256 of the TLS SubjectPublicKeyInfo; empty until port 4007 exists
  keys::NodeIdentity tpm;              // identity in TPM mode; storage_key empty where the node has no TPM
  keys::NodeIdentity software;         // identity in software mode, always there
  keys::Approvals tpm_approvals;       // boot states included; authority_public empty where the node has no TPM
  keys::Approvals software_approvals;
};

struct Membership {
  Uuid cluster;
  std::string cluster_name;
  std::uint64_t version = 1;  // grows by one with every signed change
  std::uint64_t trust_epoch = 1;
  Bytes authority_public;  // SubjectPublicKeyInfo DER
  Bytes recovery_point;    // 65 bytes
  std::vector<MemberEntry> members;
};

struct SignedMembership {
  std::string document;  // the exact JSON that was signed
  Bytes signature;       // over canonical("volcrypt membership v1", document)
};

std::string to_json(const Membership& membership);
// Throws Error(errc::token_malformed) that names the member; also for a document that is right but spelled otherwise
// than to_json does, and for one whose approvals are for another cluster, node or authority. errc::token_version.
Membership parse_membership(std::string_view json);
Bytes signing_input(std::string_view document);

// {"document": "...", "signature": base64}: the value of the store's key and the body of requests.
std::string to_json(const SignedMembership& signed_document);
SignedMembership parse_signed_membership(std::string_view json);

// Checks the signature against the document's own authority key and, if given, against the pinned one; refuses a
// version below `newest_seen` (errc::too_old) and a different cluster or authority (errc::bad_signature).
struct Pin {
  Uuid cluster;
  Bytes authority_public;
  std::uint64_t newest_seen = 0;
};
Membership open_membership(const SignedMembership& signed_document, const Pin* pin);

}  // namespace volcrypt::cluster
