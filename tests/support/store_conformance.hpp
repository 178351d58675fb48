// What every engine of cluster::Store must do. A test program calls this with a function that makes an empty store
// whose clock it can move; each promise becomes one test case under the engine's name.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "agent/cluster/store.hpp"

namespace volcrypt::test {

struct StoreUnderTest {
  std::unique_ptr<cluster::Store> store;
  std::function<void(std::chrono::seconds)> pass_time;
  std::chrono::seconds lease_time{10};  // of the leases in the suite
  std::chrono::seconds patience{1};     // beyond it a lease has ended for certain
};

using MakeStore = std::function<StoreUnderTest()>;
void check_store_conformance(const MakeStore& make);  // runs all of them inside the calling test case
// For an engine that reads this machine's clock.
void check_store_whose_clock_is_set_back(const MakeStore& make);

}  // namespace volcrypt::test
