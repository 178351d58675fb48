// See tpm_fixture.hpp.
#include "tests/tpm/tpm_fixture.hpp"

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

Approvals Administrator::approve(ESYS_CONTEXT* esys, const std::vector<std::uint32_t>& pcrs) const {
  Approvals approvals;
  approvals.authority_public = authority_der();
  approvals.cluster = cluster;
  approvals.node = node;
  approvals.recovery_public = recovery_public_area(recovery.point);
  approvals.recovery_approval = sign(policy_duplication_select(tpm_name(approvals.recovery_public)),
                                     kek_reference(cluster, approvals.trust_epoch));
  approvals.pcrs = pcrs;
  approvals.boot_states.push_back(boot_state(pcrs, tpm::read_boot_state(esys, pcrs).digest_now));
  return approvals;
}

NodeFixture::NodeFixture(const std::vector<std::uint32_t>& pcrs, tpm::StorageAlgorithm algorithm)
    : context(std::make_unique<tpm::TpmContext>(swtpm.tcti())),
      key(tpm::ensure_storage_key(esys(), algorithm, administrator.storage_policy(), 0x81010100)),
      storage(tpm::open_pinned(esys(), key)),
      approvals(administrator.approve(esys(), pcrs)) {}

void NodeFixture::reopen() {
  storage.end();
  context = std::make_unique<tpm::TpmContext>(swtpm.tcti());
  storage = tpm::open_pinned(esys(), key);
}

}  // namespace volcrypt::test
