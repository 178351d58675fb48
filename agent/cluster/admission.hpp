// What stands between a node and its membership, as values: the token that lets it ask, what it says of itself, the
// authority's question and its answer. Strict JSON. The store keeps all but the token's key; nothing of it is secret,
// and nothing counts that is not signed. Pure. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/keys/join_proof.hpp"

namespace volcrypt::cluster {

inline constexpr std::size_t enrolled_limit = 32 * 1024;             // bytes of what a node says of itself
inline constexpr std::size_t most_pending = 64;                      // nodes that wait for the authority
inline constexpr std::uint64_t longest_token_life = 30 * 24 * 3600;  // seconds

// The file of `cluster token`: a signing key for one request, and who takes that. Whoever has it may ask once, and has
// got nothing else: the authority decides. A line of JSON, and one with the key in base64.
struct JoinToken {
  Uuid id;
  Uuid cluster;
  std::string cluster_name;
  Bytes authority_public;     // SubjectPublicKeyInfo DER: the newcomer's keys are made for it alone
  Bytes member_key;           // fingerprint of the TLS key of the member that takes the request
  std::uint64_t expires = 0;  // seconds since 1970
  Secret scalar{0};           // P-256
};

// token/ID in the store, until it is used.
struct TokenRecord {
  Bytes point;  // of the token's key
  std::uint64_t expires = 0;
};

// POST /v1/joins on port 4007. The signature is by the token's key, over the newcomer's TLS key, too.
struct JoinRequest {
  Uuid token;
  Uuid node;
  std::string enrolled;  // the newcomer's control::EnrolledNode as JSON, exactly as it was signed
  Bytes signature;
};

// A question or an answer for each kind of keys that the node has.
struct AdmissionQuestion {
  std::optional<keys::JoinChallenge> tpm;
  keys::JoinChallenge software;
};
struct AdmissionAnswer {
  std::optional<keys::JoinAnswer> tpm;
  keys::JoinAnswer software;
};

// pending/NODE in the store: written by the member that took the request, by the one at which the authority is, and by
// the newcomer itself.
struct PendingNode {
  Uuid node;
  std::string enrolled;
  Bytes tls_fingerprint;  // as it was proved on port 4007
  std::optional<AdmissionQuestion> question;
  std::optional<AdmissionAnswer> answer;  // to the question beside it
};

// errc::token_malformed, errc::token_version; of what is in the store errc::store_damaged.
Secret to_text(const JoinToken& token);
JoinToken parse_join_token(ByteView text);
std::string to_json(const TokenRecord& record);
TokenRecord parse_token_record(std::string_view json);
std::string to_json(const JoinRequest& request);
JoinRequest parse_join_request(std::string_view json);
std::string to_json(const AdmissionQuestion& question);
AdmissionQuestion parse_admission_question(std::string_view json);
std::string to_json(const PendingNode& node);
PendingNode parse_pending_node(std::string_view json);

// What the token's key signs: all that a node says of itself. Its digest is what the administrator compares on both
// sides, and what the node's answer is bound to.
Bytes signing_input(const Uuid& cluster, const Uuid& node, ByteView tls_fingerprint, std::string_view enrolled);
Digest request_digest(const Uuid& cluster, const Uuid& node, ByteView tls_fingerprint, std::string_view enrolled);

}  // namespace volcrypt::cluster
