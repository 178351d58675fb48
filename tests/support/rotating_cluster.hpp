// A cluster as the rotation machine sees it: its members and its state, fed with events that must be accepted.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

#include "agent/cluster/rotation.hpp"

namespace volcrypt::cluster {

using Members = std::set<Uuid>;

inline Members some_members(std::size_t count) {
  Members members;
  while (members.size() < count) members.insert(Uuid::random());
  return members;
}

// Feeds events that must be accepted.
struct Cluster {
  Members members;
  EncryptionState state;
  std::vector<Action> actions;  // of the last event

  explicit Cluster(std::size_t count = 3) : members(some_members(count)) {}

  Cluster& feed(const Event& event) {
    const auto step = advance(state, members, event);
    BOOST_REQUIRE(step.has_value());
    state = step->state;
    actions = step->actions;
    BOOST_TEST(flaw(state) == "");
    return *this;
  }
  bool refuses(const Event& event) const { return !advance(state, members, event).has_value(); }
  Cluster& all_prove() {
    for (const auto& member : members) feed(event::Proved{member, state.distributing});
    return *this;
  }
  Cluster& all_rewrap() {
    for (const auto& member : members) feed(event::Rewrapped{member, state.current});
    return *this;
  }
  Cluster& census(const std::set<Generation>& needed) {
    event::CensusTaken census;
    for (const auto& member : members) census.needed[member] = needed;
    return feed(census);
  }
  Cluster& enabled() {
    feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::Created{state.distributing});
    return all_prove();
  }
};

inline bool asks(const std::vector<Action>& actions, const Action& action) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

}  // namespace volcrypt::cluster
