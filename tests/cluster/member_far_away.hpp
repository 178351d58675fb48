// MemberFarAway: another node as a member, over the network, as agent/peer does it: what it is asked runs on its own
// loop, a KEK goes along with the order to prove it, and an answer that does not come is errc::timed_out.
#pragma once

#include "tests/cluster/simulated_node.hpp"

namespace volcrypt::test {

class MemberFarAway final : public cluster::Member {
 public:
  MemberFarAway(SimulatedNode& here, SimulatedNode& there, const Surroundings& around)
      : here_(here), there_(there), around_(around) {}

  const Uuid& id() const override { return there_.disk.id; }
  const std::string& name() const override { return there_.disk.name; }
  cluster::asio::awaitable<keys::BootReport> boot_report() override;
  cluster::asio::awaitable<cluster::SecureBoot> secure_boot() override;
  cluster::asio::awaitable<std::vector<std::string>> key_warnings() override;
  cluster::asio::awaitable<void> adopt_membership(const cluster::SignedMembership& membership) override;
  cluster::asio::awaitable<cluster::MemberReadiness> readiness(keys::Protection protection) override;
  cluster::asio::awaitable<keys::KekRecord> create_kek(cluster::Generation generation) override;
  cluster::asio::awaitable<void> prove_kek(const keys::KekRecord& record) override;
  cluster::asio::awaitable<cluster::RewrapProgress> rewrap_volumes(cluster::Generation to) override;
  cluster::asio::awaitable<cluster::RewrapProgress> rewrap_progress() override;
  cluster::asio::awaitable<std::set<cluster::Generation>> census() override;
  cluster::asio::awaitable<void> retire_kek(cluster::Generation generation) override;

  // That node sends this one a KEK that it lacks, if it holds it.
  cluster::asio::awaitable<void> give_kek(cluster::Generation generation);

 private:
  // Asked at the other node, when the message arrives; refused unless that node knows this one as a member.
  template <class T>
  using Question = std::function<cluster::asio::awaitable<T>(MemberAtHome&)>;
  template <class T>
  cluster::asio::awaitable<T> ask(Question<T> question);
  cluster::asio::awaitable<void> order(Question<bool> question);
  template <class T>
  static cluster::asio::awaitable<T> answer(SimulatedNode& there, Uuid asker, Question<T> question);

  SimulatedNode& here_;
  SimulatedNode& there_;
  const Surroundings& around_;
};

}  // namespace volcrypt::test
