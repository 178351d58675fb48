// See membership_journal.hpp.
#include "agent/membership_journal.hpp"

#include <algorithm>

#include "agent/runtime/log.hpp"
#include "dmtarget/canonical.hpp"

namespace volcrypt {

namespace {

using cluster::MemberEntry;
using cluster::Membership;
using runtime::Severity;
using BootState = keys::Approvals::BootState;

bool had(const Membership& before, const MemberEntry& member, const BootState& state) {
  return std::ranges::any_of(before.members, [&](const MemberEntry& was) {
    return was.node == member.node && std::ranges::any_of(was.tpm_approvals.boot_states, [&](const BootState& known) {
             return known.pcr_digest == state.pcr_digest;
           });
  });
}

void tell_approvals(const Membership& before, const Membership& after) {
  for (const MemberEntry& member : after.members)
    for (const BootState& state : member.tpm_approvals.boot_states)
      if (!had(before, member, state))
        runtime::log(Severity::notice, "a boot state was approved",
                     {{"node", member.node.str()},
                      {"pcr_digest", to_hex(state.pcr_digest)},
                      {"membership", std::to_string(after.version)}});
}

}  // namespace

void tell_membership(const std::optional<cluster::SignedMembership>& before, const cluster::SignedMembership& after) {
  if (before && before->document == after.document) return;
  const Membership now = cluster::parse_membership(after.document);
  if (before) return tell_approvals(cluster::parse_membership(before->document), now);
  runtime::log(Severity::notice, "a cluster was made",
               {{"cluster", now.cluster.str()},
                {"name", now.cluster_name},
                {"authority", to_hex(sha256(now.authority_public))},
                {"membership", std::to_string(now.version)}});
}

}  // namespace volcrypt
