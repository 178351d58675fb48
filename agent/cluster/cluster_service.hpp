// The operator's verbs on the cluster: init, feature flag, enable, rotate, boot state, recovery, status. Holds the lease,
// drives the pure rotation machine (rotation.hpp) over Members, resumes what an earlier run left. Coroutines on the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/member.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/cluster/state.hpp"
#include "agent/cluster/store.hpp"

namespace volcrypt::cluster {

struct RotationView {
  EncryptionState state;
  std::vector<std::pair<std::string, RewrapProgress>> progress;  // per member name
  std::string waiting_for;   // a sentence when the rotation cannot go on; empty otherwise
  std::string last_failure;
};

struct KekRecordSummary {
  Generation generation = 0;
  std::string role;   // "current", "previous"
  Bytes name;
};

struct ClusterInfo {
  std::string version;       // of volcrypt
  std::optional<Membership> membership;   // empty before init
  EncryptionState encryption;
  RotationView rotation;
  std::vector<KekRecordSummary> generations;
  keys::BootReport boot;     // effective PCR policy
  bool recovery_verified = false;
  std::string recovery_verified_at;       // RFC 3339, empty when never
  std::vector<std::string> warnings;      // sentences: no PCRs bound, lockout auth empty, recovery key never verified...
};

struct EnableCheck {
  std::string node;
  std::vector<std::string> failures;
};

class ClusterService {
 public:
  // `member` acts for this node (agent/local_member); peers join the list with port 4007.
  ClusterService(Store& store, Member& member, keys::Protection available);
  ~ClusterService();

  asio::awaitable<void> start();       // resumes a rotation or an enabling that was under way
  asio::awaitable<ClusterInfo> info();
  asio::awaitable<void> init(SignedMembership membership);          // errc::wrong_state when there is a cluster already
  asio::awaitable<void> update_membership(SignedMembership membership);  // approve-boot-state, later admit and remove
  asio::awaitable<void> set_feature_flag();
  asio::awaitable<std::vector<EnableCheck>> check_enable(keys::Protection protection);
  asio::awaitable<void> enable(keys::Protection protection);        // errc::wrong_state with every failure named
  asio::awaitable<Generation> rotate();                             // returns the new number; work goes on in the background
  asio::awaitable<RotationView> rotation();
  asio::awaitable<void> recovery_was_verified(std::string when);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::cluster
