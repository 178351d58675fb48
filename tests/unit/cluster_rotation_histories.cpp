// The rotation machine in random histories, with the invariants looked at after every event.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <random>

#include "agent/cluster/rotation.hpp"
#include "tests/support/rotating_cluster.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

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
