// NodeServices: what the control routes may ask of this node (control/services.hpp), over the agent's parts. Coroutines
// on the loop; the parts outlive it.
#pragma once

#include "agent/admission.hpp"
#include "agent/cluster/cluster_service.hpp"
#include "agent/control/services.hpp"
#include "agent/local_member.hpp"
#include "agent/node_file.hpp"
#include "agent/runtime/metrics.hpp"
#include "agent/scrape.hpp"
#include "agent/store_home.hpp"

namespace volcrypt {

class NodeServices final : public control::Services {
 public:
  struct Parts {
    cluster::ClusterService& cluster;
    LocalMember& member;
    cluster::LocalPin& pin;
    NodeFile& node_file;
    keys::NodeKeys& keys;
    volumes::VolumeService& volumes;
    Scrape& scrape;
    runtime::Metrics& metrics;
    StoreHome& store_home;
    Admission& admission;
    std::function<control::Listening()> at;     // what it says of itself on port 4007; throws without a TLS key
    std::function<void()> keys_may_open_again;  // called after approvals changed
  };

  explicit NodeServices(Parts parts) : parts_(std::move(parts)) {}

  cluster::ClusterService& cluster() override { return parts_.cluster; }
  control::Admissions& admissions() override { return parts_.admission; }
  const Uuid& node() const override { return parts_.member.id(); }
  volumes::VolumeService& volumes() override;
  asio::awaitable<std::vector<volumes::VolumeView>> list_volumes() override;
  runtime::Metrics& metrics() override { return parts_.metrics; }
  asio::awaitable<std::string> metrics_text() override { return parts_.scrape.text(); }
  asio::awaitable<control::EnrolledNode> enrol(control::EnrolRequest request) override;
  asio::awaitable<void> init_cluster(cluster::SignedMembership membership) override;
  asio::awaitable<void> update_membership(cluster::SignedMembership membership) override;
  asio::awaitable<std::optional<cluster::SignedMembership>> membership() override;
  asio::awaitable<keys::BootReport> boot_report() override { return parts_.member.boot_report(); }
  asio::awaitable<std::optional<cluster::SecureBoot>> secure_boot() override;
  control::Listening listening() override { return parts_.at(); }
  control::StoreView store() override { return parts_.store_home.view(); }
  asio::awaitable<std::string> store_failure() override;
  asio::awaitable<bool> choose_store(control::StoreRequest request) override;
  asio::awaitable<keys::RecoveryBundle> recovery_bundle() override;

 private:
  Parts parts_;
};

}  // namespace volcrypt
