// A machine whose agent dies and comes back: store, disk, KEKs and drives stay, in memory, and each life of the agent
// is a ClusterService on a loop of its own, over a FakeMember.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "agent/cluster/cluster_service.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "tests/support/await.hpp"
#include "tests/support/fake_member.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/signed_cluster.hpp"
#include "tests/support/temporary_directory.hpp"

namespace volcrypt::cluster {

inline constexpr auto software = keys::Protection::software;
inline const DriverOptions quick{.first_pause = std::chrono::milliseconds(1),
                                 .longest_pause = std::chrono::milliseconds(4),
                                 .lease_patience = std::chrono::milliseconds(500)};

inline asio::awaitable<void> doze(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// What survives the agent: its store, its disk, its KEKs and drives.
struct Machine {
  tests::TemporaryDirectory directory;
  test::SignedCluster cluster;
  test::MemoryStore store;
  test::FakeNode node;

  EncryptionState state() const {
    const auto entry = store.entries.find(std::string(store_key::encryption));
    return entry == store.entries.end() ? EncryptionState{} : parse_encryption_state(entry->second.value);
  }
  bool at_rest() const {
    const auto now = state();
    return now.rotation == RotationPhase::NoRotation && now.distributing == 0 && now.retiring.empty();
  }
  bool opens_all() const {
    return std::all_of(node.volumes.begin(), node.volumes.end(),
                       [&](const auto& volume) { return node.opens(volume.second); });
  }
  SignedMembership signed_membership(std::uint64_t version = 1) const {
    return cluster.sign(cluster.membership(node.id, version));
  }

  // Promises 3 and 7 of the design, looked at from outside.
  void check() const {
    const auto now = state();
    BOOST_TEST(flaw(now) == "");
    BOOST_TEST(opens_all(), "a volume's generation is gone");
    auto in_use = now.previous;
    if (now.current != 0) in_use.insert(now.current);
    for (const auto generation : in_use) {
      BOOST_TEST(node.proved.contains(generation));
      BOOST_TEST(!node.destroyed.contains(generation));
      BOOST_TEST(store.entries.contains(store_key::generation(generation)));
      BOOST_TEST(store.entries.contains(store_key::recovery(generation)), "no recovery blob");
    }
    for (const auto& [name, volume] : node.volumes) BOOST_TEST(in_use.contains(volume.generation), name);
    BOOST_TEST((node.ever_made.empty() || *node.ever_made.rbegin() <= now.highest_used));
  }
};

// One life of the agent. The loop goes first, as it does when a process dies.
struct Agent {
  Machine& machine;
  std::unique_ptr<asio::io_context> loop = std::make_unique<asio::io_context>();
  runtime::Worker files{"files", 1};
  LocalPin pin{machine.directory.path() / "cluster.json", files};
  test::FakeMember member{machine.node, machine.store, &pin};
  ClusterService service;

  explicit Agent(Machine& m, DriverOptions options = quick)
      : machine(m), service(m.store, member, pin, software, {}, std::move(options)) {}
  ~Agent() {
    loop.reset();
    machine.store.before = nullptr;
    machine.store.after = nullptr;
  }

  template <class T>
  T wait(asio::awaitable<T> task) {
    return test::await(*loop, std::move(task));
  }
  void run_until_rest() {
    for (int i = 0; i < 2000 && !machine.at_rest(); ++i) wait(doze(std::chrono::milliseconds(1)));
    const bool rests = machine.at_rest();  // asked first: the text runs the loop
    BOOST_TEST(rests, service_text());
  }
  void run_until(RotationPhase phase) {
    for (int i = 0; i < 2000 && machine.state().rotation != phase; ++i) wait(doze(std::chrono::milliseconds(1)));
    const bool there = machine.state().rotation == phase;
    BOOST_TEST(there, service_text());
  }
  std::string service_text() { return wait(service.rotation()).last_failure + " in " + to_json(machine.state()); }
  void become_cluster() {
    wait(service.start());
    wait(service.init(machine.signed_membership()));
  }
  void become_encrypted() {
    become_cluster();
    wait(service.set_feature_flag());
    wait(service.enable(software));
  }
  void rotate() {
    wait(service.rotate());
    run_until_rest();
  }
};

}  // namespace volcrypt::cluster
