// World: a whole cluster in one thread: its nodes, their network and store under a simulated clock, and the
// administrator. After every step it looks whether a promise of the design is broken. One seed, one story.
#pragma once

#include <memory>
#include <stdexcept>

#include "tests/cluster/simulated_node.hpp"
#include "tests/support/signed_cluster.hpp"

namespace volcrypt::test {

// A promise was broken; the text says which, and how it came to that.
struct BrokenPromise : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class World {
 public:
  // `size` nodes, of which the first `members` make the cluster.
  World(std::uint64_t seed, std::size_t size, std::size_t members);
  ~World();

  void start(std::size_t number);
  void kill(std::size_t number);
  // Runs a verb on a node that is up, beside everything else; what it throws is told.
  using Verb = std::function<cluster::asio::awaitable<void>(cluster::ClusterService&)>;
  void say(std::size_t number, const std::string& what, const Verb& verb);
  // The administrator changes the document at a node: adds that other one, or takes it out and rotates.
  void admit(std::size_t at, std::size_t newcomer);
  void remove(std::size_t at, std::size_t leaver);
  void new_volume(std::size_t owner, const std::string& name);  // made under the current generation, if it can be

  void run_for(std::chrono::milliseconds time);
  // False: it was not so within that time.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);
  void mend_everything();  // network, power and drives
  bool is_at_rest() const;
  void expect_peace() const;  // after rest, with everything mended: nothing is left over

  cluster::EncryptionState state() const;
  std::set<Uuid> members() const;  // of the document in the store
  bool is_member(std::size_t number) const { return members().contains(nodes.at(number)->disk.id); }
  const std::vector<std::string>& story() const { return story_; }
  [[noreturn]] void broken(const std::string& promise) const;

  static constexpr Network::End everywhere = 99;

  Chance chance;
  SimulatedClock clock;
  runtime::Worker files{"files", 0};
  MemoryStore store;
  asio::io_context store_loop{1};
  Network network;
  std::vector<std::unique_ptr<SimulatedNode>> nodes;

 private:
  void tell(const std::string& line);
  bool turn();
  void check();
  void check_new_state(const cluster::EncryptionState& before, const cluster::EncryptionState& now);
  void check_volumes(const cluster::EncryptionState& now) const;
  std::string fingerprint() const;
  cluster::SignedMembership document(const std::set<Uuid>& ids, std::uint64_t version, std::uint64_t trust_epoch) const;
  static cluster::asio::awaitable<void> change_members(World& world, cluster::ClusterService& service, Uuid id,
                                                       bool in);

  Surroundings around_;
  std::vector<std::string> story_;
  std::set<cluster::Generation> used_numbers_;
  bool number_repeated_ = false;  // noted in a coroutine, whose exceptions are its caller's
  cluster::EncryptionState last_;
  cluster::Revision seen_revision_ = 0;
  mutable std::pair<cluster::Revision, std::set<Uuid>> members_;  // of that revision of the document
  std::string seen_disks_;
};

}  // namespace volcrypt::test
