// What the routes stand on: the two services and what only the agent knows of its node. agent.cpp implements it; tests
// do over a store in memory. Coroutines on the loop. Nothing secret passes through here, in either direction.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "agent/cluster/cluster_service.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/control/admissions.hpp"
#include "agent/control/enrolled_node.hpp"
#include "agent/control/store_request.hpp"
#include "agent/keys/kek_store.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt::runtime {
class Metrics;
}

namespace volcrypt::control {

namespace asio = boost::asio;

class Services {
 public:
  virtual ~Services() = default;

  virtual cluster::ClusterService& cluster() = 0;
  virtual Admissions& admissions() = 0;
  virtual const Uuid& node() const = 0;  // nil before init
  // Throws Error(errc::wrong_state) that names `volcryptctl cluster init` while there is no cluster.
  virtual volumes::VolumeService& volumes() = 0;
  // Every catalogued volume: none while there is certainly no cluster (the package's purge relies on that). Throws when
  // it is not known whether there is one.
  virtual asio::awaitable<std::vector<volumes::VolumeView>> list_volumes() = 0;
  virtual runtime::Metrics& metrics() = 0;
  // The numbers as they are now, in Prometheus' text format. Never throws for what one of the services cannot tell.
  virtual asio::awaitable<std::string> metrics_text() = 0;

  // `cluster init`, first step: makes the node's keys for exactly this authority, cluster and node. errc::wrong_state
  // when this node belongs to a cluster already. A TPM that is required and absent, busy or unsuitable is that error:
  // a cluster made without it could never use it.
  virtual asio::awaitable<EnrolledNode> enrol(EnrolRequest request) = 0;
  // Second step of `cluster init`: the node's KekStores adopt their approvals, then the document is stored.
  virtual asio::awaitable<void> init_cluster(cluster::SignedMembership membership) = 0;
  // approve-boot-state, admit, remove: a newer document of the same authority. Works while the node is sealed out.
  virtual asio::awaitable<void> update_membership(cluster::SignedMembership membership) = 0;
  // The document in force, exactly as it was signed; empty before init.
  virtual asio::awaitable<std::optional<cluster::SignedMembership>> membership() = 0;
  // What others have to know of this node's port 4007, now; the membership document says what they do know. Throws when
  // there is no TLS key.
  virtual Listening listening() = 0;
  // PCRs bound, their values now, and whether some approved state matches. Before init: no PCR bound.
  virtual asio::awaitable<keys::BootReport> boot_report() = 0;
  // Empty: the firmware's variable cannot be read.
  virtual asio::awaitable<std::optional<cluster::SecureBoot>> secure_boot() = 0;
  // Where the store is.
  virtual StoreView store() = 0;
  // Why it does not answer now; empty when it does.
  virtual asio::awaitable<std::string> store_failure() = 0;
  // Another place for it; false when it is there already. The agent starts itself anew after a change: the socket is
  // gone for a moment. errc::wrong_state with the way out where it cannot be.
  virtual asio::awaitable<bool> choose_store(StoreRequest request) = 0;
  // Every retained recovery blob, for `recovery verify` and `recovery export`.
  virtual asio::awaitable<keys::RecoveryBundle> recovery_bundle() = 0;
};

}  // namespace volcrypt::control
