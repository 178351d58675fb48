// See enrolment.hpp.
#include "agent/cli/enrolment.hpp"

#include "agent/cli/exit_status.hpp"
#include "agent/keys/tpm_digests.hpp"

namespace volcrypt::cli {

namespace {

// SHA-256 over the chosen PCRs' values, as TPM2_PolicyPCR takes it.
Bytes digest_of(const keys::BootReport& boot, const std::vector<std::uint32_t>& pcrs) {
  if (pcrs.empty()) return {};
  std::vector<Bytes> values;
  for (const auto wanted : pcrs) {
    for (const auto& [pcr, value] : boot.values) {
      if (pcr == wanted) values.push_back(value);
    }
  }
  if (values.size() != pcrs.size()) {
    throw Failure(ExitStatus::tpm,
                  "cannot bind the PCRs: the agent did not report the value of each. "
                  "Enable the SHA-256 bank of PCRs in the firmware, or say --pcrs none.");
  }
  const Digest digest = keys::pcr_digest_of(values);
  return {digest.begin(), digest.end()};
}

keys::ApprovalRequest request_for(const Enrolment& enrolment, const keys::NodeIdentity& identity) {
  keys::ApprovalRequest request;
  request.identity = identity;
  request.node = enrolment.id;
  request.trust_epoch = enrolment.trust_epoch;
  request.recovery_point = enrolment.recovery_point;
  request.older_epochs = enrolment.older_epochs;
  return request;
}

void renew(const keys::AdminKey& authority, keys::Approvals& approvals, keys::ApprovalRequest request) {
  if (approvals.authority_public.empty()) return;  // it has no keys of this kind
  request.pcrs = approvals.pcrs;
  if (!approvals.boot_states.empty()) request.boot_state_digest = approvals.boot_states.back().pcr_digest;
  auto boot_states = std::move(approvals.boot_states);
  approvals = keys::approve_node(authority, request);
  approvals.boot_states = std::move(boot_states);
}

}  // namespace

cluster::MemberEntry make_member(const keys::AdminKey& authority, const Enrolment& enrolment) {
  const control::EnrolledNode& node = enrolment.node;
  cluster::MemberEntry member;
  member.node = enrolment.id;
  member.name = node.name;
  member.addresses = node.addresses;
  member.tls_fingerprint = node.tls_fingerprint;
  member.software = node.software;
  member.software_approvals = keys::approve_node(authority, request_for(enrolment, node.software));
  if (node.tpm) {
    keys::ApprovalRequest request = request_for(enrolment, *node.tpm);
    request.pcrs = enrolment.pcrs;
    request.boot_state_digest = digest_of(node.boot, enrolment.pcrs);
    member.tpm = *node.tpm;
    member.tpm_approvals = keys::approve_node(authority, request);
  }
  return member;
}

void renew_approvals(const keys::AdminKey& authority, cluster::MemberEntry& member, const Bytes& recovery_point,
                     std::uint64_t trust_epoch) {
  Enrolment enrolment;
  enrolment.id = member.node;
  enrolment.recovery_point = recovery_point;
  enrolment.trust_epoch = trust_epoch;
  enrolment.older_epochs = epochs_before(trust_epoch);
  renew(authority, member.tpm_approvals, request_for(enrolment, member.tpm));
  renew(authority, member.software_approvals, request_for(enrolment, member.software));
}

std::vector<std::uint64_t> epochs_before(std::uint64_t trust_epoch) {
  std::vector<std::uint64_t> epochs;
  const std::uint64_t first = trust_epoch > keys::most_epochs ? trust_epoch - keys::most_epochs + 1 : 1;
  for (std::uint64_t epoch = first; epoch < trust_epoch; ++epoch) epochs.push_back(epoch);
  return epochs;
}

}  // namespace volcrypt::cli
