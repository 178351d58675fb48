// Three nodes of a Fleet, and what its tests say of operations that fail or hang.
#pragma once

#include "tests/support/fleet.hpp"
#include "tests/support/refusal.hpp"

namespace volcrypt::cluster {

inline asio::awaitable<void> refuse(const char* refused, std::string operation) {
  if (operation == refused) throw Error(errc::sealed_out, {"do", "it", ""});
  co_return;
}
inline asio::awaitable<void> never_ends(const char* hanging, std::string operation) {
  if (operation == hanging) co_await doze(std::chrono::hours(1));
}
inline asio::awaitable<void> wait_while(test::SimulatedClock& clock, bool concerned, const bool& hangs) {
  while (concerned && hangs) co_await clock.pause(std::chrono::milliseconds(1));
}
inline auto refusing(const char* operation) {
  return [operation](std::string name) { return refuse(operation, std::move(name)); };
}
inline auto hanging(const char* operation) {
  return [operation](std::string name) { return never_ends(operation, std::move(name)); };
}
inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct ThreeNodes : Fleet {
  ThreeNodes() : Fleet(3) {}

  void give_volumes() {
    for (auto& node : nodes) node->disk.volumes["v"] = {state().current, test::Drive::present};
  }
  // Every node holds the current generation and nothing else, and each volume is at it.
  void expect_all_at(Generation generation) {
    BOOST_TEST(state().current == generation);
    for (const auto& node : nodes) {
      BOOST_TEST((node->disk.held == std::set<Generation>{generation}), node->disk.name);
      for (const auto& [name, volume] : node->disk.volumes)
        BOOST_TEST(volume.generation == generation, node->disk.name);
    }
  }
  void lease_ends() { store_ahead += std::chrono::seconds(120); }
};

}  // namespace volcrypt::cluster
