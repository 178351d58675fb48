// The operator's verbs on the cluster: init, feature flag, enable, rotate, boot state, recovery, status. Resumes what
// an earlier run left. RotationDriver does the work that goes on in the background. Coroutines on the loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/member.hpp"
#include "agent/cluster/members.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/cluster/rotation_driver.hpp"
#include "agent/cluster/state.hpp"
#include "agent/cluster/store.hpp"

namespace volcrypt::cluster {

struct MemberProgress {
  std::string name;
  bool proved = false;     // it has the KEK that is being distributed
  bool rewrapped = false;  // its volumes are under the current one, but for those that are absent
  RewrapProgress rewrap;   // of the run under way, else of the last one
};

struct RotationView {
  EncryptionState state;
  std::vector<MemberProgress> progress;
  std::string coordinator;  // the node that works on it now, by name; empty: none needs to
  std::string
      waiting_for;  // sentences when the rotation cannot go on; empty otherwise, and where another node coordinates
  std::string last_failure;
};

struct KekRecordSummary {
  Generation generation = 0;
  std::string role;  // "current", "previous", "distributing", "retiring"
  Bytes name;
};

struct ClusterInfo {
  std::string version;                   // of volcrypt
  std::optional<Membership> membership;  // empty before init
  EncryptionState encryption;
  RotationView rotation;
  std::vector<KekRecordSummary> generations;
  keys::BootReport boot;                       // effective PCR policy
  std::optional<SecureBoot> secure_boot;       // empty: not known, or not asked before init
  bool recovery_verified = false;              // of every recovery blob that is there now
  std::string recovery_verified_at;            // RFC 3339, the last time; empty when never
  std::optional<Generation> unverified_since;  // the lowest one whose blob was not opened by then
  std::vector<std::string> warnings;           // sentences: no PCRs bound, recovery key never verified, what failed...
};

struct EnableCheck {
  std::string node;  // a member's name, or "cluster" for what concerns no single one
  std::vector<std::string> failures;
};

class ClusterService {
 public:
  // `member` acts for this node (agent/local_member), `pin` is the one that it moves, and the other members are reached
  // through `others`. All outlive the service.
  ClusterService(Store& store, Member& member, LocalPin& pin, keys::Protection available, Members::Reach others = {},
                 DriverOptions options = {});
  ~ClusterService();  // work in the background ends at its next step; the store has what is needed to go on

  // Checks the store against the pin (errc::too_old when it was rolled back or lost), then resumes a rotation or an
  // enabling that was under way, unless another node does. Every verb below does this first when it has not succeeded
  // yet.
  asio::awaitable<void> start();
  // To be called again and again after start(): adopts a newer membership document, and goes on where a coordinator
  // died.
  asio::awaitable<void> stand_by();
  asio::awaitable<ClusterInfo> info();
  // Stores the document, then adopts it. errc::wrong_state when there is another cluster already.
  asio::awaitable<void> init(SignedMembership membership);
  // approve-boot-state, admit and remove. The other members are told; one that does not hear it adopts it when it looks
  // at the store. errc::wrong_generation when a member goes and this one cannot use every KEK that is in use.
  asio::awaitable<void> update_membership(SignedMembership membership);
  asio::awaitable<std::optional<SignedMembership>> membership();  // exactly as it was signed; empty before init
  asio::awaitable<void> set_feature_flag();
  asio::awaitable<std::vector<EnableCheck>> check_enable(keys::Protection protection);
  // Returns when encryption is enabled. errc::wrong_state with every failure named; what goes wrong after the checks
  // takes the enabling back and is thrown as it came.
  asio::awaitable<void> enable(keys::Protection protection);
  asio::awaitable<Generation> rotate();  // returns the new number; work goes on in the background
  // Burns the number under distribution, whose KEK is then destroyed in the background, and returns it; empty when no
  // rotation is under way. errc::wrong_state once the new generation is current, and before encryption is enabled.
  asio::awaitable<std::optional<Generation>> abort_rotation();
  asio::awaitable<void>
  reconsider_retirement();  // a drive came back and was rewrapped: perhaps its old generation can go
  // That member is up (again): what waits for it need not wait longer.
  void heard_of(const Uuid& member);
  asio::awaitable<RotationView> rotation();       // every member is asked how far it is
  asio::awaitable<EncryptionState> encryption();  // the store alone is asked
  // RFC 3339; the KEKs whose blobs were opened. False: the same were verified before, the time alone is new.
  asio::awaitable<bool> recovery_was_verified(std::string when, std::vector<Bytes> names);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::cluster
