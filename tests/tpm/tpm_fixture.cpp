// See tpm_fixture.hpp.
#include "tests/tpm/tpm_fixture.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm_digests.hpp"

namespace volcrypt::test {

using namespace volcrypt::keys;

Digest Administrator::storage_policy() const {
  return keys::storage_policy(tpm::authority_name(authority_der()), cluster, node);
}

Bytes Administrator::sign(const Digest& policy, const Digest& reference) const {
  return p256_sign(authority.scalar, approval_message(policy, reference));
}

Approvals::BootState Administrator::boot_state(const std::vector<std::uint32_t>& pcrs, const Bytes& pcr_digest) const {
  const auto signed_for = [&](TpmCommand command) {
    return sign(boot_state_policy(pcrs, pcr_digest, command), node_reference(cluster, node));
  };
  return {pcr_digest, signed_for(TpmCommand::create), signed_for(TpmCommand::load), signed_for(TpmCommand::import)};
}

Approvals Administrator::approve(const Bytes& storage_key, const std::vector<std::uint32_t>& pcrs,
                                 const Bytes& pcr_digest) const {
  Approvals approvals;
  approvals.authority_public = authority_der();
  approvals.cluster = cluster;
  approvals.node = node;
  approvals.recovery_public = recovery_public_area(recovery.point);
  approvals.recovery_approval = sign(policy_duplication_select(tpm_name(approvals.recovery_public)),
                                     kek_reference(cluster, approvals.trust_epoch));
  approvals.duplication_approvals.push_back(
      {1, sign(policy_duplication_select(tpm_name(storage_key)), kek_reference(cluster, 1))});
  approvals.pcrs = pcrs;
  approvals.boot_states.push_back(boot_state(pcrs, pcr_digest));
  return approvals;
}

NodeFixture::NodeFixture(const std::vector<std::uint32_t>& pcrs, tpm::StorageAlgorithm algorithm)
    : context(std::make_unique<tpm::TpmContext>(swtpm.tcti())),
      key(tpm::ensure_storage_key(esys(), algorithm, administrator.storage_policy(), 0x81010100)),
      storage(tpm::open_pinned(esys(), key)),
      approvals(administrator.approve(key.public_area, pcrs, tpm::read_boot_state(esys(), pcrs).digest_now)) {}

void NodeFixture::reopen() {
  storage.end();
  context = std::make_unique<tpm::TpmContext>(swtpm.tcti());
  storage = tpm::open_pinned(esys(), key);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "volcrypt-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  path = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

StoreFixture::StoreFixture(const std::vector<std::uint32_t>& pcrs) {
  restart();
  identity = store->identity(administrator.request());
  Bytes digest;
  if (!pcrs.empty()) digest = tpm::read_boot_state(tpm::TpmContext(tcti).esys(), pcrs).digest_now;
  approvals = administrator.approve(identity.storage_key, pcrs, digest);
  store->adopt(approvals);
}

TpmStoreOptions StoreFixture::options() const {
  TpmStoreOptions options;
  options.tcti = tcti;
  options.directory = directory.path / "keys";
  return options;
}

Bytes StoreFixture::pcr_digest_now() const {
  return tpm::read_boot_state(tpm::TpmContext(swtpm.tcti()).esys(), approvals.pcrs).digest_now;
}

void StoreFixture::approve_present_state() {
  approvals.boot_states.push_back(administrator.boot_state(approvals.pcrs, pcr_digest_now()));
  store->adopt(approvals);
}

}  // namespace volcrypt::test
