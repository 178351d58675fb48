// What the authority signs for a node that is to be a member: a part of `cluster init` and `node admit`. One thread.
#pragma once

#include <vector>

#include "agent/cluster/membership.hpp"
#include "agent/control/enrolled_node.hpp"
#include "agent/keys/authority.hpp"

namespace volcrypt::cli {

struct Enrolment {
  control::EnrolledNode node;  // its keys were proved, or made at its own authority's order
  Uuid id;
  Bytes recovery_point;
  std::vector<std::uint32_t> pcrs;  // bound where it has a TPM
  std::uint64_t trust_epoch = 1;
  std::vector<std::uint64_t> older_epochs;  // whose retained KEKs it shall receive; ascending
};

// Throws Failure when the node did not report the value of each PCR, and what keys::approve_node does.
cluster::MemberEntry make_member(const keys::AdminKey& authority, const Enrolment& enrolment);
// The same member in another trust epoch. Its boot states stay approved.
void renew_approvals(const keys::AdminKey& authority, cluster::MemberEntry& member, const Bytes& recovery_point,
                     std::uint64_t trust_epoch);
// The epochs before `trust_epoch` whose KEKs a member may receive: the newest, for approvals have room for few.
std::vector<std::uint64_t> epochs_before(std::uint64_t trust_epoch);

}  // namespace volcrypt::cli
