// What the tests of the tpm tier share: a software TPM with an authority, a recovery key and this node's approvals,
// made by the same code as an administrator's. One fixture object is one fresh TPM and one fresh state directory.
#pragma once

#include <filesystem>

#include "agent/keys/authority.hpp"
#include "agent/keys/kek_store.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/tpm/kek_object.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_kek_store.hpp"
#include "tests/support/swtpm.hpp"

namespace volcrypt::test {

// The authority's side without its file and passphrase.
struct Administrator {
  Uuid cluster = Uuid::random();
  Uuid node = Uuid::random();
  keys::P256Pair authority = keys::generate_p256();
  keys::P256Pair recovery = keys::generate_p256();

  Bytes authority_der() const { return keys::p256_public_der(authority.point); }
  keys::IdentityRequest request() const { return {authority_der(), cluster, node}; }
  Digest storage_policy() const;
  Bytes sign(const Digest& policy, const Digest& reference) const;
  keys::Approvals::BootState boot_state(const std::vector<std::uint32_t>& pcrs, const Bytes& pcr_digest) const;
  // Approvals of a storage key's node for `pcrs` with one boot state.
  keys::Approvals approve(const Bytes& storage_key, const std::vector<std::uint32_t>& pcrs,
                          const Bytes& pcr_digest) const;
};

// A fresh TPM with the storage key made and approved; below the KekStore, for tests of single objects and commands.
struct NodeFixture {
  explicit NodeFixture(const std::vector<std::uint32_t>& pcrs = {7},
                       keys::tpm::StorageAlgorithm algorithm = keys::tpm::StorageAlgorithm::ecc_p256);

  keys::tpm::Parent parent() const { return {storage.get(), approvals}; }
  ESYS_CONTEXT* esys() const { return context->esys(); }
  // Opens the connection and the storage key again, as a new process would.
  void reopen();

  Swtpm swtpm;
  Administrator administrator;
  std::unique_ptr<keys::tpm::TpmContext> context;
  keys::tpm::StorageKey key;
  keys::tpm::OpenHandle storage;
  keys::Approvals approvals;
};

// A directory that is removed at the end.
struct TemporaryDirectory {
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::filesystem::path path;
};

// A TpmKekStore on a fresh TPM that has been through identity() and adopt().
struct StoreFixture {
  explicit StoreFixture(const std::vector<std::uint32_t>& pcrs = {7});

  keys::TpmStoreOptions options() const;
  // As the agent after a restart.
  void restart() { store = std::make_unique<keys::TpmKekStore>(options()); }
  // The digest of the bound PCRs now, from the TPM itself.
  Bytes pcr_digest_now() const;
  // What `node approve-boot-state` does.
  void approve_present_state();

  Swtpm swtpm;
  TemporaryDirectory directory;
  Administrator administrator;
  std::string tcti = swtpm.tcti();
  std::unique_ptr<keys::TpmKekStore> store;
  keys::NodeIdentity identity;
  keys::Approvals approvals;
};

}  // namespace volcrypt::test
