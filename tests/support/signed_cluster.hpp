// A cluster's authority for tests: makes and signs membership documents whose members have stand-ins for TPM keys.
#pragma once

#include "agent/cluster/membership.hpp"
#include "agent/keys/authority.hpp"

namespace volcrypt::test {

struct SignedCluster {
  Uuid id = Uuid::random();
  keys::AdminKey authority = keys::AdminKey::generate(keys::AdminKey::Purpose::authority, id);

  cluster::Membership membership(const Uuid& node, std::uint64_t version = 1) const {
    return membership(std::vector<Uuid>(1, node), version);
  }
  // Members named node1, node2, ...
  cluster::Membership membership(const std::vector<Uuid>& nodes, std::uint64_t version = 1) const {
    cluster::Membership membership;
    membership.cluster = id;
    membership.cluster_name = "test";
    membership.version = version;
    membership.authority_public = authority.public_der();
    membership.recovery_point = authority.public_point();
    for (const auto& node : nodes) membership.members.push_back(member(node, membership.members.size() + 1));
    return membership;
  }
  cluster::MemberEntry member(const Uuid& node, std::size_t number) const {
    cluster::MemberEntry member;
    member.node = node;
    member.name = "node" + std::to_string(number);
    member.tpm.protection = keys::Protection::tpm;
    member.software.protection = keys::Protection::software;
    member.software.storage_key = authority.public_point();
    member.software.maker = "software";
    member.software_approvals.authority_public = authority.public_der();
    member.software_approvals.cluster = id;
    member.software_approvals.node = node;
    return member;
  }
  cluster::SignedMembership sign(const std::string& document) const {
    return {document, authority.sign(cluster::signing_input(document))};
  }
  cluster::SignedMembership sign(const cluster::Membership& membership) const {
    return sign(cluster::to_json(membership));
  }
};

}  // namespace volcrypt::test
