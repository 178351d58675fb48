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
  // Approvals for `pcrs` in the state that `esys` is in now.
  keys::Approvals approve(ESYS_CONTEXT* esys, const std::vector<std::uint32_t>& pcrs) const;
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

}  // namespace volcrypt::test
