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
};

using MakeStore = std::function<StoreUnderTest()>;
void check_store_conformance(const MakeStore& make);  // runs all of them inside the calling test case

}  // namespace volcrypt::test
