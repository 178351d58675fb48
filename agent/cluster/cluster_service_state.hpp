// The inside of ClusterService, shared by the files that hold its verbs and its status. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/cluster_service.hpp"

namespace volcrypt::cluster {

struct ClusterService::State {
  Store& store;
  Member& self;
  LocalPin& pin;
  keys::Protection available;
  std::shared_ptr<Members> members;
  std::shared_ptr<RotationDriver> driver;
  bool started = false;
  std::string not_adopted;  // why this node did not adopt the stored membership

  asio::awaitable<std::optional<Entry>> stored(std::string_view key) { return store.get(std::string(key)); }

  asio::awaitable<void> start();
  asio::awaitable<bool> has_cluster();
  asio::awaitable<void> ready();
  asio::awaitable<void> adopt(SignedMembership signed_document);
  asio::awaitable<void> follow_membership();  // the stored document, checked; adopted where it is another one
  asio::awaitable<void> tell_others(SignedMembership signed_document);
  asio::awaitable<void> check_keks_stay(EncryptionState encryption);  // before a member goes
  asio::awaitable<EnableCheck> check_cluster();
  asio::awaitable<std::vector<KekRecordSummary>> generations(const EncryptionState& state);
  asio::awaitable<void> put(std::string key, std::string value, Revision before);
  asio::awaitable<void> add_boot_state(ClusterInfo& info);
  asio::awaitable<void> add_secure_boot(ClusterInfo& info);
  asio::awaitable<void> add_key_warnings(ClusterInfo& info);
  asio::awaitable<void> add_recovery(ClusterInfo& info);
  void add_warnings(ClusterInfo& info);
};

}  // namespace volcrypt::cluster
