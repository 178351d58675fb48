// The rotation machine: its arrows one by one, then random histories with the invariants looked at after every event.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <random>

#include "agent/cluster/rotation.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

namespace {

using Members = std::set<Uuid>;

Members some_members(std::size_t count) {
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

bool asks(const std::vector<Action>& actions, const Action& action) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

}  // namespace

BOOST_AUTO_TEST_CASE(enabling_needs_the_feature_flag) {
  Cluster c;
  BOOST_TEST(c.refuses(event::Enable{keys::Protection::tpm}));
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::software});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabling));
  BOOST_TEST((c.state.protection == keys::Protection::software));
  BOOST_TEST(asks(c.actions, action::CreateKek{1}));
}

BOOST_AUTO_TEST_CASE(enabling_ends_when_the_last_member_has_proved) {
  Cluster c(3);
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::Created{1});
  BOOST_TEST(c.actions.size() == 3u);
  auto member = c.members.begin();
  c.feed(event::Proved{*member++, 1}).feed(event::Proved{*member++, 1});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabling));
  BOOST_TEST(c.state.current == 0u);
  c.feed(event::Proved{*member, 1});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabled));
  BOOST_TEST(c.state.current == 1u);
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
}

BOOST_AUTO_TEST_CASE(one_member_proving_many_times_is_one_proof) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{});
  for (int i = 0; i < 5; ++i) c.feed(event::Proved{*c.members.begin(), 2});
  BOOST_TEST(c.state.current == 1u);
}

BOOST_AUTO_TEST_CASE(a_proof_of_a_stranger_or_of_another_number_does_not_count) {
  Cluster c(1);
  c.enabled().feed(event::Rotate{});
  const auto before = c.state;
  c.feed(event::Proved{Uuid::random(), 2})
      .feed(event::Proved{*c.members.begin(), 1})
      .feed(event::Proved{*c.members.begin(), 3});
  BOOST_TEST((c.state == before));
}

BOOST_AUTO_TEST_CASE(a_rotation_goes_through_its_three_states) {
  Cluster c;
  c.enabled().feed(event::Rotate{});
  BOOST_TEST((c.state.rotation == RotationPhase::DistributingKEK));
  BOOST_TEST(asks(c.actions, action::CreateKek{2}));
  c.feed(event::Created{2}).all_prove();
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(c.actions.size() == 3u);
  c.all_rewrap();
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
  c.census({2});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST(c.state.previous.empty());
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
  c.feed(event::Retired{1, c.members});
  BOOST_TEST(c.state.retiring.empty());
}

BOOST_AUTO_TEST_CASE(an_absent_drive_keeps_its_generation_previous_until_it_was_rewrapped) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({1, 2});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(c.actions.empty());
  c.feed(event::Rotate{}).all_prove().all_rewrap().census({1, 3});  // the next rotation is not held up
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST((c.state.retiring == std::set<Generation>{2}));
  c.feed(event::Retired{2, c.members}).census({3});
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
}

BOOST_AUTO_TEST_CASE(a_census_that_lacks_a_member_retires_nothing) {
  Cluster c(3);
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap();
  event::CensusTaken census;
  census.needed[*c.members.begin()] = {2};
  c.feed(census);
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
  BOOST_TEST(c.state.retiring.empty());
  BOOST_TEST(c.actions.empty());
}

BOOST_AUTO_TEST_CASE(a_census_before_every_member_has_rewrapped_does_not_end_the_rotation) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{}).all_prove().feed(event::Rewrapped{*c.members.begin(), 2}).census({2});
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
}

BOOST_AUTO_TEST_CASE(a_generation_leaves_the_state_only_when_every_member_destroyed_it) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({2});
  c.feed(event::Retired{1, {*c.members.begin()}});
  BOOST_TEST((c.state.retiring == std::set<Generation>{1}));
  c.feed(event::Retired{1, c.members});
  BOOST_TEST(c.state.retiring.empty());
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_burns_the_number_and_starts_a_higher_one) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).feed(event::Created{2}).feed(event::Proved{*c.members.begin(), 2});
  c.feed(event::CoordinatorStarted{});
  BOOST_TEST(c.state.distributing == 3u);
  BOOST_TEST(c.state.proved.empty());
  BOOST_TEST((c.state.retiring == std::set<Generation>{2}));
  BOOST_TEST(asks(c.actions, action::CreateKek{3}));
  c.feed(event::Created{3}).all_prove().all_rewrap().census({3});
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
  BOOST_TEST(asks(c.actions, action::RetireKek{2}));  // the gap is cleaned up, too
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_while_enabling_burns_number_one) {
  Cluster c;
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::CoordinatorStarted{}).all_prove();
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_while_encrypting_goes_on_with_those_that_are_not_done) {
  Cluster c(3);
  c.enabled().feed(event::Rotate{}).all_prove().feed(event::Rewrapped{*c.members.begin(), 2});
  c.feed(event::CoordinatorStarted{});
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST(c.actions.size() == 2u);
  c.all_rewrap().feed(event::CoordinatorStarted{});
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
}

BOOST_AUTO_TEST_CASE(an_abort_burns_the_number_and_the_next_rotation_leaves_a_gap) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).feed(event::Abort{});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST(c.state.current == 1u);
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
  c.census({1});
  BOOST_TEST(asks(c.actions, action::RetireKek{2}));
  c.feed(event::Rotate{});
  BOOST_TEST(c.state.distributing == 3u);
}

BOOST_AUTO_TEST_CASE(an_aborted_enabling_leaves_the_protection_open_to_choose_again) {
  Cluster c;
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::Abort{});
  BOOST_TEST((c.state.phase == EncryptionPhase::Disabled));
  BOOST_TEST(!c.state.protection.has_value());
  c.feed(event::Enable{keys::Protection::software});
  BOOST_TEST(c.state.distributing == 2u);
}

BOOST_AUTO_TEST_CASE(wishes_in_the_wrong_state_are_refused) {
  Cluster c;
  BOOST_TEST(c.refuses(event::Rotate{}));
  BOOST_TEST(c.refuses(event::Abort{}));
  c.enabled();
  BOOST_TEST(c.refuses(event::Enable{keys::Protection::tpm}));
  BOOST_TEST(c.refuses(event::Abort{}));
  c.feed(event::Rotate{});
  BOOST_TEST(c.refuses(event::Rotate{}));
  c.all_prove();
  BOOST_TEST(c.refuses(event::Rotate{}));
  BOOST_TEST(c.refuses(event::Abort{}));  // volumes already carry the new generation
  BOOST_TEST(!advance(c.state, {}, event::FlagSet{}).has_value());
}

BOOST_AUTO_TEST_CASE(a_volume_that_turns_up_takes_its_generation_back_from_retirement) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({2});
  BOOST_TEST(still_due(c.state, c.members, action::RetireKek{1}));
  c.census({1, 2});
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(!still_due(c.state, c.members, action::RetireKek{1}));
}

BOOST_AUTO_TEST_CASE(what_the_state_has_passed_is_not_due_any_more) {
  Cluster c;
  c.enabled().feed(event::Rotate{});
  const auto member = *c.members.begin();
  BOOST_TEST(still_due(c.state, c.members, action::CreateKek{2}));
  BOOST_TEST(still_due(c.state, c.members, action::ProveKek{member, 2}));
  c.feed(event::Proved{member, 2});
  BOOST_TEST(!still_due(c.state, c.members, action::ProveKek{member, 2}));
  c.all_prove();
  BOOST_TEST(!still_due(c.state, c.members, action::CreateKek{2}));
  BOOST_TEST(still_due(c.state, c.members, action::RewrapVolumes{member, 2}));
  BOOST_TEST(!still_due(c.state, c.members, action::TakeCensus{}));
  c.all_rewrap();
  BOOST_TEST(still_due(c.state, c.members, action::TakeCensus{}));
}

namespace {

// A whole cluster outside the machine: who holds and who proved what, and what each member's volumes carry.
struct World {
  struct Node {
    std::set<Generation> proved, destroyed;
    std::vector<Generation> volumes;  // header generations
    std::vector<bool> present;
  };

  std::mt19937 random;
  Cluster cluster;
  std::map<Uuid, Node> nodes;
  std::set<Generation> numbers_given;
  std::vector<Action> pending;

  World(unsigned seed, std::size_t members) : random(seed), cluster(members) {
    for (const auto& member : cluster.members) nodes[member];
  }

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); }

  void feed(const Event& event) {
    const auto before = cluster.state;
    const auto step = advance(before, cluster.members, event);
    if (!step) return;
    check_arrow(before, step->state, event);
    cluster.state = step->state;
    for (const auto& action : step->actions) {
      if (const auto* create = std::get_if<action::CreateKek>(&action)) {
        BOOST_TEST(numbers_given.insert(create->generation).second, "a number was given out twice");
      }
      pending.push_back(action);
    }
    check_state();
  }

  static int rank(const EncryptionState& s) { return static_cast<int>(s.phase) * 3 + static_cast<int>(s.rotation); }

  void check_arrow(const EncryptionState& before, const EncryptionState& after, const Event& event) {
    const auto enabled = static_cast<int>(EncryptionPhase::Enabled) * 3;
    static const std::set<std::pair<int, int>> drawn = {
        {0, 3}, {3, enabled}, {enabled, enabled + 1}, {enabled + 1, enabled + 2}, {enabled + 2, enabled}};
    static const std::set<std::pair<int, int>> taken_back = {{3, 0}, {enabled + 1, enabled}};
    const auto arrow = std::make_pair(rank(before), rank(after));
    if (arrow.first == arrow.second) return;
    BOOST_TEST((drawn.contains(arrow) || (std::holds_alternative<event::Abort>(event) && taken_back.contains(arrow))));
  }

  void check_state() {
    const auto& state = cluster.state;
    BOOST_TEST(flaw(state) == "");
    BOOST_TEST((parse_encryption_state(to_json(state)) == state));
    for (const auto& [id, node] : nodes) {
      if (state.current != 0) {
        BOOST_TEST(node.proved.contains(state.current), "a current generation was not proved by every member");
        BOOST_TEST(!node.destroyed.contains(state.current));
      }
      for (const auto generation : node.volumes) {
        BOOST_TEST(!node.destroyed.contains(generation), "a generation in use was destroyed");
        BOOST_TEST((generation == state.current || state.previous.contains(generation)));
      }
    }
  }

  // Does one pending action, whole, half (a crash before the answer) or not at all.
  void act() {
    if (pending.empty()) return;
    const auto place = pending.begin() + static_cast<std::ptrdiff_t>(below(pending.size()));
    const auto action = *place;
    pending.erase(place);
    if (!still_due(cluster.state, cluster.members, action)) return;
    const bool answers = below(8) != 0;
    if (const auto* create = std::get_if<action::CreateKek>(&action)) {
      feed(answers ? Event(event::Created{create->generation}) : Event(event::Abort{}));
    } else if (const auto* prove = std::get_if<action::ProveKek>(&action)) {
      nodes[prove->member].proved.insert(prove->generation);
      answers ? feed(event::Proved{prove->member, prove->generation}) : pending.push_back(action);
    } else if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) {
      auto& node = nodes[rewrap->member];
      for (std::size_t i = 0; i < node.volumes.size(); ++i) {
        if (node.present[i]) node.volumes[i] = rewrap->to;
      }
      answers ? feed(event::Rewrapped{rewrap->member, rewrap->to}) : pending.push_back(action);
    } else if (std::holds_alternative<action::TakeCensus>(action)) {
      event::CensusTaken census;
      for (const auto& [id, node] : nodes) census.needed[id] = {node.volumes.begin(), node.volumes.end()};
      if (!answers) census.needed.erase(census.needed.begin());
      feed(census);
      if (!answers) pending.push_back(action);
    } else {
      const auto number = std::get<action::RetireKek>(action).generation;
      std::set<Uuid> done;
      for (auto& [id, node] : nodes) {
        if (!answers && below(2) == 0) continue;
        node.destroyed.insert(number);
        done.insert(id);
      }
      check_state();
      feed(event::Retired{number, done});
      if (done != cluster.members) pending.push_back(action);
    }
  }

  void something_happens() {
    const auto what = below(20);
    auto& node = std::next(nodes.begin(), static_cast<std::ptrdiff_t>(below(nodes.size())))->second;
    if (what == 0) feed(event::FlagSet{});
    if (what == 1) feed(event::Enable{keys::Protection::tpm});
    if (what == 2) feed(event::Rotate{});
    if (what == 3 && below(4) == 0) feed(event::Abort{});
    if (what == 4) {  // the coordinator dies: what was pending is forgotten
      pending.clear();
      feed(event::CoordinatorStarted{});
    }
    if (what == 5 && cluster.state.current != 0) {
      node.volumes.push_back(cluster.state.current);
      node.present.push_back(true);
    }
    if (what == 6 && !node.volumes.empty()) {
      const auto drive = below(node.volumes.size());
      node.present[drive] = !node.present[drive];
      // On its return a drive is rewrapped at once, then the coordinator may reconsider.
      if (node.present[drive]) node.volumes[drive] = cluster.state.current;
      pending.push_back(action::TakeCensus{});
    }
    if (what == 7) feed(event::Proved{cluster.members.empty() ? Uuid() : Uuid::random(), cluster.state.distributing});
    if (what == 8) feed(event::Retired{cluster.state.current, cluster.members});
    if (what > 8) act();
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(random_histories_keep_every_invariant_and_end_in_no_rotation) {
  std::size_t rotations = 0, gaps = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      World world(seed, 1 + seed % 5);
      for (int i = 0; i < 200; ++i) world.something_happens();
      // Then everybody answers, and it must come to rest.
      world.pending.clear();
      world.feed(event::CoordinatorStarted{});
      for (int i = 0; i < 2000 && !world.pending.empty(); ++i) world.act();
      BOOST_TEST((world.cluster.state.rotation == RotationPhase::NoRotation));
      BOOST_TEST(world.cluster.state.distributing == 0u);
      BOOST_TEST(world.cluster.state.retiring.empty());
      rotations += world.cluster.state.current;
      gaps += world.numbers_given.size() > world.cluster.state.current ? 1 : 0;
    }
  }
  BOOST_TEST(rotations > 300u);  // the histories do get somewhere
  BOOST_TEST(gaps > 10u);
}
