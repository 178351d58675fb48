// The administrators' keys, used by volcryptctl only and never held by the agent: the authority (signs membership and
// approvals) and the recovery key (opens every KEK's recovery blob). Both are P-256, stored as JSON files encrypted
// under a passphrase (scrypt N=2^17 r=8 p=1, AES-256-GCM). Any thread; opening takes about a second by intent.
#pragma once

#include <filesystem>
#include <string>

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
  Bytes public_der() const;           // SubjectPublicKeyInfo
  Bytes public_point() const;         // 65 bytes, uncompressed
  Bytes sign(ByteView message) const; // ECDSA P-256 with SHA-256 over the message, DER
  const Secret& leak_scalar() const noexcept;  // 32 bytes big-endian; for recovery.cpp only
};

bool verify(ByteView authority_public_der, ByteView message, ByteView signature);

// Everything the authority signs for one node. `boot_state_digest` is empty when no PCR is bound.
struct ApprovalRequest {
  NodeIdentity identity;
  Uuid node;
  std::uint64_t trust_epoch = 1;
  Bytes recovery_point;
  std::vector<std::uint32_t> pcrs;
  Bytes boot_state_digest;
};
// Checks first that the identity is of the exact form that may be approved (attributes, policy; TPM facts section 2).
Approvals approve_node(const AdminKey& authority, const ApprovalRequest& request);
// Signs one more boot state into approvals that carry this authority's key.
void approve_boot_state(const AdminKey& authority, Approvals& approvals, const Bytes& pcr_digest);

}  // namespace volcrypt::keys
