// Keyring: the loop's door to the node's KekStore. Every call runs on the one TPM worker with a deadline; results come
// back to the awaiter. Waits (bounded) for a TPM that appears late at boot. Coroutines on the loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "agent/keys/kek_store.hpp"
#include "agent/runtime/worker.hpp"

namespace volcrypt::keys {

namespace asio = boost::asio;

class Keyring {
 public:
  Keyring(std::unique_ptr<KekStore> store, std::chrono::milliseconds deadline);

  // Runs one call on the store, for example keyring.with("prove generation 3", [=](KekStore& s) { return s.prove(r, n); }).
  template <class Call>
  auto with(std::string operation, Call call) -> asio::awaitable<std::invoke_result_t<Call, KekStore&>> {
    return worker_.run(std::move(operation), deadline_, [store = store_, call = std::move(call)] { return call(*store); });
  }

 private:
  std::shared_ptr<KekStore> store_;
  runtime::Worker worker_;
  std::chrono::milliseconds deadline_;
};

}  // namespace volcrypt::keys
