// Admin keys and what the authority signs; see authority.hpp. The key's file: admin_key_file.cpp.
#include "agent/keys/authority.hpp"

#include <algorithm>
#include <functional>

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

Bytes authority_name_of(ByteView authority_public_der) {
  return tpm_name(authority_public_area(p256_point_from_der(authority_public_der)));
}

// What the approval of a storage key covers, the recovery key's and a node's: a KEK of that epoch may go to it.
struct Destination {
  Protection protection;
  std::string_view software_label;
  Uuid cluster;
  std::uint64_t trust_epoch;
  ByteView storage_key;
};

Bytes message_for(const Destination& to) {
  if (to.protection == Protection::tpm) {
    return approval_message(policy_duplication_select(tpm_name(to.storage_key)),
                            kek_reference(to.cluster, to.trust_epoch));
  }
  return Canonical(to.software_label).add(to.cluster).add(to.trust_epoch).add(to.storage_key).bytes();
}

Bytes recovery_message(const Approvals& approvals, Protection protection) {
  return message_for({protection, "volcrypt software recovery approval v1", approvals.cluster, approvals.trust_epoch,
                      approvals.recovery_public});
}

Bytes duplication_message(const Uuid& cluster, Protection protection, std::uint64_t trust_epoch, ByteView storage_key) {
  return message_for({protection, "volcrypt software duplication approval v1", cluster, trust_epoch, storage_key});
}

void sign_duplications(const AdminKey& authority, Approvals& approvals, const ApprovalRequest& request) {
  std::vector<std::uint64_t> epochs = request.older_epochs;
  epochs.push_back(request.trust_epoch);
  const bool ascending = std::ranges::adjacent_find(epochs, std::greater_equal{}) == epochs.end();
  if (epochs.front() == 0 || !ascending || epochs.size() > most_epochs) {
    throw Error(errc::invalid_argument, {"approve", "a node for trust epochs that do not ascend from 1",
                                         "At most " + std::to_string(most_epochs) + " epochs, each once."});
  }
  for (const std::uint64_t epoch : epochs) {
    const Bytes message =
        duplication_message(approvals.cluster, request.identity.protection, epoch, request.identity.storage_key);
    approvals.duplication_approvals.push_back({epoch, authority.sign(message)});
  }
}

Bytes boot_message(const Approvals& approvals, ByteView pcr_digest, TpmCommand command) {
  return approval_message(boot_state_policy(approvals.pcrs, pcr_digest, command),
                          node_reference(approvals.cluster, approvals.node));
}

void require_authority(const AdminKey& authority, const Uuid& cluster) {
  if (authority.purpose() != AdminKey::Purpose::authority) {
    throw Error(errc::invalid_argument, {"sign with", "the recovery key", "Give the authority's key file."});
  }
  if (authority.cluster() != cluster) {
    throw Error(errc::wrong_cluster, {"sign for cluster " + cluster.str() + " with", "this authority key",
                                      "It belongs to cluster " + authority.cluster().str() + "."});
  }
}

void sign_boot_state(const AdminKey& authority, Approvals& approvals, const Bytes& pcr_digest) {
  const auto sign = [&](TpmCommand command) { return authority.sign(boot_message(approvals, pcr_digest, command)); };
  approvals.boot_states.push_back(
      {pcr_digest, sign(TpmCommand::create), sign(TpmCommand::load), sign(TpmCommand::import)});
  if (approvals.boot_states.size() > most_boot_states) approvals.boot_states.erase(approvals.boot_states.begin());
}

[[noreturn]] void bad(const char* what) {
  throw Error(errc::bad_signature, {"adopt", what, "Let the cluster's authority sign again."});
}

}  // namespace

AdminKey::AdminKey(Purpose purpose, const Uuid& cluster, Secret scalar)
    : purpose_(purpose), cluster_(cluster), scalar_(std::move(scalar)), point_(p256_point(scalar_)) {}

AdminKey AdminKey::generate(Purpose purpose, const Uuid& cluster) {
  return {purpose, cluster, std::move(generate_p256().scalar)};
}

AdminKey::Purpose AdminKey::purpose() const noexcept { return purpose_; }
const Uuid& AdminKey::cluster() const noexcept { return cluster_; }
Bytes AdminKey::public_der() const { return p256_public_der(point_); }
Bytes AdminKey::public_point() const { return point_; }
Bytes AdminKey::sign(ByteView message) const { return p256_sign(scalar_, message); }
const Secret& AdminKey::leak_scalar() const noexcept { return scalar_; }

bool verify(ByteView authority_public_der, ByteView message, ByteView signature) {
  return p256_verify(p256_point_from_der(authority_public_der), message, signature);
}

Approvals approve_node(const AdminKey& authority, const ApprovalRequest& request) {
  require_authority(authority, authority.cluster());
  require_p256_point(request.recovery_point);
  Approvals approvals;
  approvals.authority_public = authority.public_der();
  approvals.cluster = authority.cluster();
  approvals.node = request.node;
  approvals.trust_epoch = request.trust_epoch;
  const Protection protection = request.identity.protection;
  if (protection == Protection::tpm) {
    require_approvable(request.identity, authority_name_of(approvals.authority_public), approvals.cluster,
                       request.node);
    approvals.recovery_public = recovery_public_area(request.recovery_point);
    approvals.pcrs = request.pcrs;
    sign_boot_state(authority, approvals, request.boot_state_digest);
  } else {
    require_p256_point(request.identity.storage_key);
    if (!request.pcrs.empty() || !request.boot_state_digest.empty()) {
      throw Error(errc::invalid_argument, {"bind PCRs to", "a node in software mode", "Leave the PCRs out."});
    }
    approvals.recovery_public = request.recovery_point;
  }
  approvals.recovery_approval = authority.sign(recovery_message(approvals, protection));
  sign_duplications(authority, approvals, request);
  return approvals;
}

void approve_boot_state(const AdminKey& authority, Approvals& approvals, const Bytes& pcr_digest) {
  require_authority(authority, approvals.cluster);
  if (authority.public_der() != approvals.authority_public) {
    throw Error(errc::bad_signature,
                {"add a boot state to", "approvals of another authority", "Give that authority's key file."});
  }
  if (approvals.pcrs.empty()) {
    throw Error(errc::wrong_state,
                {"approve a boot state for", "a node that binds no PCRs", "There is nothing to approve."});
  }
  // Approved before and back again: it becomes the newest, so that it is not the next to make room.
  std::erase_if(approvals.boot_states, [&](const auto& state) { return state.pcr_digest == pcr_digest; });
  sign_boot_state(authority, approvals, pcr_digest);
}

void check_approvals(const Approvals& approvals, Protection protection, ByteView storage_key) {
  const auto holds = [&](ByteView message, ByteView signature) {
    return verify(approvals.authority_public, message, signature);
  };
  try {
    if (protection == Protection::tpm) {
      recovery_point_of(approvals.recovery_public);
    } else {
      require_p256_point(approvals.recovery_public);
    }
    if (!holds(recovery_message(approvals, protection), approvals.recovery_approval)) bad("the recovery approval");
    const auto& duplications = approvals.duplication_approvals;
    if (duplications.empty() || duplications.size() > most_epochs ||
        duplications.back().trust_epoch != approvals.trust_epoch) {
      bad("approvals to receive KEKs: none of the present trust epoch, or too many");
    }
    for (const DuplicationApproval& approval : duplications) {
      if (!holds(duplication_message(approvals.cluster, protection, approval.trust_epoch, storage_key),
                 approval.signature)) {
        bad("an approval to receive KEKs");
      }
    }
    const bool wants_states = protection == Protection::tpm;
    if (approvals.boot_states.empty() == wants_states || approvals.boot_states.size() > most_boot_states) {
      bad("the boot states: none, or too many");
    }
    for (const auto& state : approvals.boot_states) {
      const auto message = [&](TpmCommand command) { return boot_message(approvals, state.pcr_digest, command); };
      if (!holds(message(TpmCommand::create), state.create) || !holds(message(TpmCommand::load), state.load) ||
          !holds(message(TpmCommand::import), state.import)) {
        bad("a boot state");
      }
    }
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) throw;
    bad("approvals that are malformed");
  }
}

const DuplicationApproval& duplication_approval_of(const Peer& peer, const Approvals& ours, Protection protection,
                                                   std::uint64_t trust_epoch) {
  const auto found = std::ranges::find(peer.duplication_approvals, trust_epoch, &DuplicationApproval::trust_epoch);
  const std::string whom = "node " + peer.node.str() + " with KEKs of trust epoch " + std::to_string(trust_epoch);
  if (found == peer.duplication_approvals.end()) {
    throw Error(errc::bad_signature, {"trust", whom, "The authority has not approved that: admit the node again."});
  }
  if (!verify(ours.authority_public, duplication_message(ours.cluster, protection, trust_epoch, peer.storage_key),
              found->signature)) {
    throw Error(errc::bad_signature,
                {"trust", whom, "Its approval is not this cluster's authority's, or for another storage key."});
  }
  return *found;
}

}  // namespace volcrypt::keys
