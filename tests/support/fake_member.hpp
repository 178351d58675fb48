// FakeMember: a member of the cluster in memory, with state: KEKs held and destroyed, volumes with the generation of
// their headers, present, absent or failing. Its node outlives it, as a disk outlives an agent that crashes. It refuses
// what a real one refuses: a number made twice, a proof without the KEK, a rewrap to a KEK that is not held.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/member.hpp"
#include "agent/cluster/store.hpp"

namespace volcrypt::test {

enum class Drive { present, absent, failing };

struct FakeVolume {
  cluster::Generation generation = 0;
  Drive drive = Drive::present;
};

// What a crash leaves. `loses` a volume when its generation is destroyed: then the test has found data loss.
struct FakeNode {
  Uuid id = Uuid::random();
  std::string name = "node1";
  std::string version = "0.1.0";
  std::set<cluster::Generation> held, ever_made, destroyed, proved;
  std::map<std::string, FakeVolume> volumes;
  std::vector<std::string> not_ready;
  std::vector<std::string> key_warnings;
  cluster::SecureBoot secure_boot = cluster::SecureBoot::on;
  std::size_t adopted = 0;

  bool opens(const FakeVolume& volume) const { return held.contains(volume.generation); }
};

class FakeMember final : public cluster::Member {
 public:
  FakeMember(FakeNode& node, cluster::Store& store, cluster::LocalPin* pin) : node_(node), store_(store), pin_(pin) {}

  // Called before and after each effect, with the operation's name; may throw, or never end: a crash.
  std::function<cluster::asio::awaitable<void>(std::string)> around;

  const Uuid& id() const override { return node_.id; }
  const std::string& name() const override { return node_.name; }
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

 private:
  cluster::asio::awaitable<void> pass(std::string operation);

  FakeNode& node_;
  cluster::Store& store_;
  cluster::LocalPin* pin_;
  cluster::RewrapProgress progress_;
};

}  // namespace volcrypt::test
