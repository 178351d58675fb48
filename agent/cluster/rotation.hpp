// The rotation machine: (state, members, event) -> (new state, what to do next). It decides, and does nothing: no
// store, no clock, no key. Arrows: Disabled -> Enabling -> Enabled, and NoRotation -> DistributingKEK -> EncryptingDEKs
// -> NoRotation; an abort takes Enabling and DistributingKEK back. Pure. Any thread. Source: DESIGN.md section 5.
// Whoever drives it stores the new state first and acts then, so that a crash repeats work and never loses the
// knowledge of it.
#pragma once

#include <boost/system/result.hpp>
#include <map>
#include <set>
#include <variant>
#include <vector>

#include "agent/cluster/state.hpp"

namespace volcrypt::cluster {

namespace event {
struct FlagSet {};  // the feature flag; no-op when it is on
struct Enable {     // its checks have passed
  keys::Protection protection;
};
struct Rotate {};
struct CoordinatorStarted {};  // another coordinator, or this one after a crash: nothing in memory counts any more
struct MembersChanged {};      // another document: the new ones have to do what the others did, the gone ones no more
struct Created {
  Generation generation;
};
struct Proved {
  Uuid member;
  Generation generation;
};
struct Rewrapped {  // every volume of `member` that is present carries `to`
  Uuid member;
  Generation to;
};
struct CensusTaken {  // of every member: the generations that its volumes need, absent volumes included
  std::map<Uuid, std::set<Generation>> needed;
};
struct Retired {
  Generation generation;
  std::set<Uuid> members;  // that destroyed it
};
struct Abort {
  Generation generation = 0;  // this one and no later one; 0: whichever is distributed
};
}  // namespace event

using Event =
    std::variant<event::FlagSet, event::Enable, event::Rotate, event::CoordinatorStarted, event::MembersChanged,
                 event::Created, event::Proved, event::Rewrapped, event::CensusTaken, event::Retired, event::Abort>;

namespace action {
struct CreateKek {  // on the coordinator; then Created. If that fails, Abort: nobody can tell what the attempt left
                    // behind
  Generation generation;
  auto operator<=>(const CreateKek&) const = default;
};
struct ProveKek {  // then Proved
  Uuid member;
  Generation generation;
  auto operator<=>(const ProveKek&) const = default;
};
struct RewrapVolumes {  // then Rewrapped
  Uuid member;
  Generation to;
  auto operator<=>(const RewrapVolumes&) const = default;
};
struct TakeCensus {  // then CensusTaken
  auto operator<=>(const TakeCensus&) const = default;
};
struct RetireKek {  // on every member; then Retired
  Generation generation;
  auto operator<=>(const RetireKek&) const = default;
};
}  // namespace action

using Action =
    std::variant<action::CreateKek, action::ProveKek, action::RewrapVolumes, action::TakeCensus, action::RetireKek>;

struct Step {
  EncryptionState state;
  std::vector<Action> actions;  // in any order, at the same time; each is idempotent except CreateKek
};

// errc::wrong_state when the event is a wish that the state does not allow; an answer that comes too late (another
// generation, another phase) changes nothing. `members` must not be empty.
boost::system::result<Step> advance(EncryptionState state, const std::set<Uuid>& members, const Event& event);

// Whether what was asked for earlier still makes sense. To be asked before each attempt; for RetireKek, which cannot be
// taken back, it is a duty.
bool still_due(const EncryptionState& state, const std::set<Uuid>& members, const Action& action);

}  // namespace volcrypt::cluster
