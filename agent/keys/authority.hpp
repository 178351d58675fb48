// The administrators' keys, used by volcryptctl only and never held by the agent: the authority (signs membership and
// approvals) and the recovery key (opens every KEK's recovery blob). Both are P-256, stored as JSON files encrypted
// under a passphrase (scrypt N=2^17 r=8 p=1, AES-256-GCM). Any thread; opening takes about a second by intent.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

// A P-256 private key in a Secret; purpose is bound into the file's authenticated data.
class AdminKey {
 public:
  enum class Purpose { authority, recovery };

  static AdminKey generate(Purpose purpose, const Uuid& cluster);
  // errc::wrong_passphrase, errc::token_version, errc::token_malformed; never writes.
  static AdminKey open(const std::filesystem::path& file, const Secret& passphrase);
  // New file, 0600, never over an existing one (errc::already_exists); written, fsynced, renamed, read back and opened.
  void save(const std::filesystem::path& file, const Secret& passphrase) const;

  Purpose purpose() const noexcept;
  const Uuid& cluster() const noexcept;
  Bytes public_der() const;                    // SubjectPublicKeyInfo
  Bytes public_point() const;                  // 65 bytes, uncompressed
  Bytes sign(ByteView message) const;          // ECDSA P-256 with SHA-256 over the message, DER
  const Secret& leak_scalar() const noexcept;  // 32 bytes big-endian; for recovery.cpp only

 private:
  AdminKey(Purpose purpose, const Uuid& cluster, Secret scalar);

  Purpose purpose_;
  Uuid cluster_;
  Secret scalar_;
  Bytes point_;
};

// The admin key file as a value: everything that is checked before a passphrase is asked for. Format in README.md.
struct AdminKeyFile {
  AdminKey::Purpose purpose = AdminKey::Purpose::authority;
  Uuid cluster;
  Bytes point;   // 65 bytes
  Bytes salt;    // 32 bytes
  Bytes nonce;   // 12 bytes
  Bytes sealed;  // the scalar, and GCM's tag: 48 bytes
};
std::string to_json(const AdminKeyFile& file);
// Strict; at most 4 KiB. errc::token_version for another format version, errc::token_malformed for anything else,
// other scrypt parameters than ours included.
AdminKeyFile parse_admin_key_file(std::string_view json);

// False for any signature that does not fit; errc::invalid_argument when the key is not a P-256 key in DER.
bool verify(ByteView authority_public_der, ByteView message, ByteView signature);

// Everything the authority signs for one node. `boot_state_digest` is empty when no PCR is bound.
struct ApprovalRequest {
  NodeIdentity identity;
  Uuid node;
  std::uint64_t trust_epoch = 1;
  Bytes recovery_point;
  std::vector<std::uint32_t> pcrs;
  Bytes boot_state_digest;
  std::vector<std::uint64_t> older_epochs = {};  // whose retained KEKs the node shall receive, too; ascending
};
// Checks first that the identity is of the exact form that may be approved (attributes, policy; TPM facts section 2).
Approvals approve_node(const AdminKey& authority, const ApprovalRequest& request);
// What a KekStore asks before it adopts: all signatures hold under approvals.authority_public for the node whose
// storage key this is, and the parts have the form that `protection` needs. Whether that authority is the right one,
// the caller knows. errc::bad_signature.
void check_approvals(const Approvals& approvals, Protection protection, ByteView storage_key);
// The approval by which a KEK of `trust_epoch` may go to the peer. errc::bad_signature when there is none, or it does
// not hold under the authority of `ours`.
const DuplicationApproval& duplication_approval_of(const Peer& peer, const Approvals& ours, Protection protection,
                                                   std::uint64_t trust_epoch);

inline constexpr std::size_t most_boot_states = 16;  // the oldest makes room for the newest
inline constexpr std::size_t most_epochs = 16;
// Signs one more boot state into approvals that carry this authority's key.
void approve_boot_state(const AdminKey& authority, Approvals& approvals, const Bytes& pcr_digest);

}  // namespace volcrypt::keys
