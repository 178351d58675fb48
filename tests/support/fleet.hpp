// Fleet: many nodes of one cluster in one process: each a ClusterService of its own over a FakeMember, all on one store
// in memory. Time is simulated: it moves on to the next pause's end when no node has anything to do. A node is reached
// by the others while it is up and not cut off.
#pragma once

#include "tests/support/cluster_lives.hpp"
#include "tests/support/simulated_clock.hpp"

namespace volcrypt::cluster {

class Fleet {
 public:
  struct Node {
    tests::TemporaryDirectory directory;
    test::FakeNode disk;
    bool cut_off = false;
    std::function<asio::awaitable<void>(std::string)> around;  // each of its effects; see FakeMember
    std::unique_ptr<asio::io_context> loop;
    std::unique_ptr<LocalPin> pin;
    std::unique_ptr<test::FakeMember> member;
    std::unique_ptr<ClusterService> service;  // null: it is down
  };

  explicit Fleet(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      nodes.push_back(std::make_unique<Node>());
      nodes.back()->disk.name = "node" + std::to_string(i + 1);
      start(i);
    }
  }
  ~Fleet() {
    for (std::size_t i = 0; i < nodes.size(); ++i) kill(i);
  }

  void start(std::size_t number, DriverOptions options = quick) {
    kill(number);
    options.clock = &clock;
    auto& node = *nodes.at(number);
    node.loop = std::make_unique<asio::io_context>();
    if (!node.pin) node.pin = std::make_unique<LocalPin>(node.directory.path() / "cluster.json", files);
    if (!node.member) node.member = std::make_unique<test::FakeMember>(node.disk, store, node.pin.get());
    node.member->around = [&node](std::string operation) { return effect(node, std::move(operation)); };
    const auto others = [this](const MemberEntry& entry) { return reach(entry.node); };
    node.service =
        std::make_unique<ClusterService>(store, *node.member, *node.pin, software, others, std::move(options));
  }
  // As when its process dies: nothing that it awaits ever ends.
  void kill(std::size_t number) {
    nodes.at(number)->loop.reset();
    nodes.at(number)->service.reset();
  }

  // Runs a coroutine on a node, and all nodes until it has ended.
  template <class T>
  T at(std::size_t number, asio::awaitable<T> (ClusterService::*verb)()) {
    return wait(number, (nodes.at(number)->service.get()->*verb)());
  }
  template <class T>
  T wait(std::size_t number, asio::awaitable<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(*nodes.at(number)->loop, std::move(task), [&](std::exception_ptr error, std::optional<T> value) {
      failure = error;
      if (!error) result = std::move(value);
    });
    run_until([&] { return failure || result; });
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  void wait(std::size_t number, asio::awaitable<void> task) {
    std::optional<std::exception_ptr> outcome;
    asio::co_spawn(*nodes.at(number)->loop, std::move(task), [&](std::exception_ptr failure) { outcome = failure; });
    run_until([&] { return outcome.has_value(); });
    if (*outcome) std::rethrow_exception(*outcome);
  }
  void run_for(std::chrono::milliseconds time) {
    for (const auto until = clock.now() + time; clock.now() < until;) turn(until);
  }
  template <class Done>
  void run_until(Done done) {
    for (const auto until = clock.now() + std::chrono::seconds(10); !done() && clock.now() < until;) turn(until);
    BOOST_REQUIRE_MESSAGE(done(), to_json(state()));
  }
  void run_until_rest() {
    run_until([this] {
      const auto now = state();
      return now.rotation == RotationPhase::NoRotation && now.distributing == 0 && now.retiring.empty();
    });
  }
  EncryptionState state() const {
    const auto entry = store.entries.find(std::string(store_key::encryption));
    return entry == store.entries.end() ? EncryptionState{} : parse_encryption_state(entry->second.value);
  }
  std::string coordinator() const {
    const auto entry = store.entries.find(store_key::lease(store_key::coordinator_lease));
    for (const auto& node : nodes)
      if (entry != store.entries.end() && node->disk.id.str() == entry->second.value) return node->disk.name;
    return "";
  }
  SignedMembership document(std::size_t members, std::uint64_t version = 1, std::uint64_t trust_epoch = 1) const {
    std::vector<Uuid> ids;
    for (std::size_t i = 0; i < members; ++i) ids.push_back(nodes.at(i)->disk.id);
    auto membership = authority.membership(ids, version);
    membership.trust_epoch = trust_epoch;
    return authority.sign(membership);
  }
  // The first one makes it, the others find it in the store.
  void become_cluster() {
    wait(0, nodes[0]->service->init(document(nodes.size())));
    for (std::size_t i = 1; i < nodes.size(); ++i) at(i, &ClusterService::start);
  }
  void become_encrypted() {
    become_cluster();
    at(0, &ClusterService::set_feature_flag);
    wait(0, nodes[0]->service->enable(software));
    run_until_rest();
    run_until([this] { return coordinator().empty(); });
  }

  test::SimulatedClock clock;
  runtime::Worker files{"files", 0};
  test::SignedCluster authority;
  std::chrono::seconds store_ahead{0};  // of the nodes: what was said to a node that stands still
  test::MemoryStore store{[this] {
    return std::chrono::system_clock::time_point() + std::chrono::hours(1) + (clock.now() - runtime::Clock::Instant{}) +
           store_ahead;
  }};
  std::vector<std::unique_ptr<Node>> nodes;

 private:
  void turn(runtime::Clock::Instant limit) {
    std::size_t ran = 0;
    for (auto& node : nodes) {
      if (!node->loop) continue;
      node->loop->restart();
      ran += node->loop->poll();
    }
    if (ran == 0) clock.move_on(limit);
  }
  static asio::awaitable<void> effect(Node& node, std::string operation) {
    if (node.around) co_await node.around(std::move(operation));
  }
  static asio::awaitable<void> answer(Node& node, std::string operation) {
    if (node.cut_off || !node.service) throw Error(errc::timed_out, {"reach", node.disk.name, "Is it up?"});
    co_await effect(node, std::move(operation));
  }
  MemberPtr reach(const Uuid& id) {
    for (auto& each : nodes) {
      if (each->disk.id != id) continue;
      auto& node = *each;
      auto member = std::make_shared<test::FakeMember>(node.disk, store, node.pin.get());
      member->around = [&node](std::string operation) { return answer(node, std::move(operation)); };
      return member;
    }
    return nullptr;
  }
};

}  // namespace volcrypt::cluster
