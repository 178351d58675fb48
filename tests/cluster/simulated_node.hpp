// SimulatedNode: one node of the simulation: the real ClusterService and LocalPin, over a FakeMember, a store and other
// members that are reached through the network. Its disk (KEKs, headers, pin) outlives its agent.
#pragma once

#include "agent/cluster/cluster_service.hpp"
#include "tests/cluster/simulated_store.hpp"
#include "tests/support/fake_member.hpp"
#include "tests/support/temporary_directory.hpp"

namespace volcrypt::test {

class SimulatedNode;

// What all nodes of a simulation share, and what they tell it.
struct Surroundings {
  SimulatedClock& clock;
  Network& network;
  MemoryStore& store;
  Network::End store_end;
  runtime::Worker& files;                                    // without threads
  std::function<SimulatedNode*(const Uuid&)> node_of;        // null: no such node
  std::function<void(const std::string&)> told;              // one line of what happens
  std::function<void(cluster::Generation)> number_was_used;  // a KEK is made under it
};

// The member as its own agent has it. A KEK that is being made is not retired, as in agent/local_member; but whether a
// volume needs the KEK is not asked again here: that the coordinator never sends such an order is what is tested.
class MemberAtHome final : public cluster::Member {
 public:
  MemberAtHome(SimulatedNode& node, const Surroundings& around);

  const Uuid& id() const override { return inner_.id(); }
  const std::string& name() const override { return inner_.name(); }
  cluster::asio::awaitable<keys::BootReport> boot_report() override { return inner_.boot_report(); }
  cluster::asio::awaitable<cluster::SecureBoot> secure_boot() override { return inner_.secure_boot(); }
  cluster::asio::awaitable<std::vector<std::string>> key_warnings() override { return inner_.key_warnings(); }
  cluster::asio::awaitable<void> adopt_membership(const cluster::SignedMembership& membership) override {
    return inner_.adopt_membership(membership);
  }
  cluster::asio::awaitable<cluster::MemberReadiness> readiness(keys::Protection protection) override {
    return inner_.readiness(protection);
  }
  cluster::asio::awaitable<keys::KekRecord> create_kek(cluster::Generation generation) override;
  cluster::asio::awaitable<void> prove_kek(const keys::KekRecord& record) override;
  cluster::asio::awaitable<cluster::RewrapProgress> rewrap_volumes(cluster::Generation to) override;
  cluster::asio::awaitable<cluster::RewrapProgress> rewrap_progress() override { return inner_.rewrap_progress(); }
  cluster::asio::awaitable<std::set<cluster::Generation>> census() override;
  cluster::asio::awaitable<void> retire_kek(cluster::Generation generation) override;

  // A KEK that comes from `sender`: taken from a member alone, and while the store has its record.
  cluster::asio::awaitable<void> receive_kek(Uuid sender, keys::KekRecord record);

 private:
  cluster::asio::awaitable<void> catalogue_volumes();

  SimulatedNode& node_;
  const Surroundings& around_;
  FakeMember inner_;
  std::set<cluster::Generation> in_the_making_;
};

class SimulatedNode {
 public:
  SimulatedNode(std::size_t number, Uuid id, const Surroundings& around);
  ~SimulatedNode() { kill(); }

  // The agent's life: it starts, adopts, stands by, fetches the KEKs that it lacks, rewraps what came back.
  void start(cluster::DriverOptions options);
  void kill();  // nothing that it awaits ever ends
  bool is_up() const { return loop != nullptr; }
  bool turn();  // one step of its loop; false: nothing to do

  // The members of the document that this node has adopted.
  cluster::asio::awaitable<std::set<Uuid>> known_members();

  const std::size_t number;
  FakeNode disk;
  SimulatedStore store;
  std::unique_ptr<cluster::LocalPin> pin;
  std::unique_ptr<asio::io_context> loop;
  std::unique_ptr<MemberAtHome> member;
  std::unique_ptr<cluster::ClusterService> service;

 private:
  cluster::asio::awaitable<void> live();
  cluster::asio::awaitable<void> look_around();
  cluster::asio::awaitable<void> look_after_keks();
  cluster::MemberPtr reach(const cluster::MemberEntry& entry);

  const Surroundings& around_;
  tests::TemporaryDirectory directory_;
  std::optional<std::size_t> looked_for_strays_;   // after so many documents, in this life
  std::pair<std::string, std::set<Uuid>> opened_;  // the last document that was looked at
};

}  // namespace volcrypt::test
