// NodeServices: enrolment and the verbs that concern cluster and keys together.
#include "agent/node_services.hpp"

#include "agent/membership_journal.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using keys::Protection;

}  // namespace

volumes::VolumeService& NodeServices::volumes() {
  if (!parts_.volumes.member_of_cluster())
    throw Error(errc::wrong_state,
                {"use", "volumes", "This node belongs to no cluster yet: run `volcryptctl cluster init`."});
  return parts_.volumes;
}

// The catalogue is asked in any case: one without a readable pin may still have volumes.
asio::awaitable<std::vector<volumes::VolumeView>> NodeServices::list_volumes() {
  (void)co_await parts_.pin.read();  // throws when it cannot be read: then there may be a cluster, and "none" be wrong
  co_return co_await parts_.volumes.list();
}

asio::awaitable<control::EnrolledNode> NodeServices::enrol(control::EnrolRequest request) {
  const std::optional<cluster::PinnedState> pinned = co_await parts_.pin.read();
  if (pinned)
    throw Error(errc::wrong_state,
                {"make", "the node's keys", "This node belongs to cluster " + pinned->pin.cluster.str() + " already."});
  // Asked again, as when an answer was lost: the same node still, which may be known under its id already.
  const auto& known = parts_.node_file.known();
  if (known && known->identity.cluster == request.identity.cluster &&
      known->identity.authority_public == request.identity.authority_public)
    request.identity.node = known->identity.node;
  control::EnrolledNode node;
  node.node = request.identity.node;
  node.name = parts_.member.name();
  control::Listening at = parts_.at();
  node.tls_fingerprint = std::move(at.tls_fingerprint);
  node.addresses = std::move(at.addresses);
  const auto identify = [wanted = request.identity](keys::KekStore& store) { return store.identity(wanted); };
  const auto report = [](keys::KekStore& store) { return store.boot_report(); };
  if (request.tpm == control::TpmUse::required) {
    node.tpm = co_await parts_.keys.of(Protection::tpm).with("make the TPM's keys", identify);
    node.boot = co_await parts_.keys.of(Protection::tpm).with("read the boot state", report);
  }
  node.software = co_await parts_.keys.of(Protection::software).with("make the software keys", identify);
  co_await parts_.node_file.enrolled(std::move(request.identity));
  co_return node;
}

asio::awaitable<void> NodeServices::init_cluster(cluster::SignedMembership membership) {
  const auto before = co_await parts_.cluster.membership();
  co_await parts_.cluster.init(membership);
  tell_membership(before, membership);
  parts_.keys_may_open_again();  // drives of this cluster may be here already: a rebuilt node
}

asio::awaitable<void> NodeServices::update_membership(cluster::SignedMembership membership) {
  const cluster::Membership opened = cluster::parse_membership(membership.document);
  parts_.admission.require_shared_store(opened.members.size());
  const auto before = co_await parts_.cluster.membership();
  co_await parts_.cluster.update_membership(membership);
  tell_membership(before, membership);
  parts_.keys_may_open_again();
  co_await parts_.admission.settle(opened);
}

asio::awaitable<std::optional<cluster::SignedMembership>> NodeServices::membership() {
  return parts_.cluster.membership();
}

asio::awaitable<std::optional<cluster::SecureBoot>> NodeServices::secure_boot() {
  try {
    co_return co_await parts_.member.secure_boot();
  } catch (const Error&) {  // `get clusterinfo` has the cause among its warnings
    co_return std::nullopt;
  }
}

asio::awaitable<std::string> NodeServices::store_failure() {
  try {
    (void)co_await parts_.cluster.membership();
    co_return "";
  } catch (const Error& error) {
    co_return error.what();
  }
}

asio::awaitable<bool> NodeServices::choose_store(control::StoreRequest request) {
  return parts_.store_home.choose(std::move(request));
}

asio::awaitable<keys::RecoveryBundle> NodeServices::recovery_bundle() {
  const std::optional<cluster::PinnedState> pinned = co_await parts_.pin.read();
  if (!pinned) throw Error(errc::wrong_state, {"collect", "recovery blobs", "This node belongs to no cluster yet."});
  keys::RecoveryBundle bundle;
  bundle.cluster = pinned->pin.cluster;
  bundle.blobs = co_await parts_.member.recovery_blobs();
  co_return bundle;
}

}  // namespace volcrypt
