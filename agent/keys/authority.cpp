// Admin keys and what the authority signs; see authority.hpp. The key's file: admin_key_file.cpp.
#include "agent/keys/authority.hpp"

#include <algorithm>

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

Bytes authority_name_of(ByteView authority_public_der) {
  return tpm_name(authority_public_area(p256_point_from_der(authority_public_der)));
}

// What the recovery approval's signature covers, in either mode.
Bytes recovery_message(const Approvals& approvals, Protection protection) {
  if (protection == Protection::tpm) {
    return approval_message(policy_duplication_select(tpm_name(approvals.recovery_public)),
                            kek_reference(approvals.cluster, approvals.trust_epoch));
  }
  return Canonical("volcrypt software recovery approval v1")
      .add(approvals.cluster)
      .add(approvals.trust_epoch)
      .add(approvals.recovery_public)
      .bytes();
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

void check_approvals(const Approvals& approvals, Protection protection) {
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

}  // namespace volcrypt::keys
