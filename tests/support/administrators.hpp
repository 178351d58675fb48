// The administrators of a cluster of one node with software keys: their keys, and what they do in `cluster init`.
#pragma once

#include "agent/cluster/membership.hpp"
#include "agent/keys/authority.hpp"

namespace volcrypt::test {

struct Administrators {
  Uuid cluster = Uuid::random();
  keys::AdminKey authority = keys::AdminKey::generate(keys::AdminKey::Purpose::authority, cluster);
  keys::AdminKey recovery = keys::AdminKey::generate(keys::AdminKey::Purpose::recovery, cluster);

  // Each run of `cluster init` gives the node another id.
  keys::IdentityRequest request() const { return {authority.public_der(), cluster, Uuid::random()}; }

  cluster::SignedMembership admit(const Uuid& node, const keys::NodeIdentity& software) const {
    cluster::Membership membership;
    membership.cluster = cluster;
    membership.cluster_name = "test";
    membership.authority_public = authority.public_der();
    membership.recovery_point = recovery.public_point();
    cluster::MemberEntry self;
    self.node = node;
    self.name = "node1";
    self.software = software;
    self.software_approvals = keys::approve_node(authority, {software, node, 1, recovery.public_point(), {}, {}});
    membership.members = {self};
    const std::string document = cluster::to_json(membership);
    return {document, authority.sign(cluster::signing_input(document))};
  }
};

}  // namespace volcrypt::test
