// Keyring: the loop's door to the node's KekStore. Every call runs on one worker thread with a deadline; results come
// back to the awaiter. Waits (bounded) for a TPM that appears late at boot. Coroutines on the loop.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "agent/keys/kek_store.hpp"
#include "agent/runtime/worker.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

namespace asio = boost::asio;

class Keyring {
 public:
  // `deadline` bounds each call. Until `patience` has passed since now, a call that finds no TPM is made again; after
  // that errc::tpm_absent is final (systemd#25099: at boot the device can come seconds after the agent).
  Keyring(std::unique_ptr<KekStore> store, std::chrono::milliseconds deadline,
          std::chrono::milliseconds patience = std::chrono::seconds(60));

  // Runs one call on the store, for example
  //   keyring.with("prove generation 3", [=](KekStore& store) { return store.prove(record, nonce); })
  // The call may run more than once while the TPM is waited for, and must own what it touches. The keyring outlives it.
  template <class Call>
  auto with(std::string operation, Call call) -> asio::awaitable<std::invoke_result_t<Call, KekStore&>> {
    for (;;) {
      // Named before it is awaited: g++ 12 destroys the captures of a closure inside a co_await expression twice.
      auto attempt = [guarded = guarded_, call] {
        // A call that was given up at its deadline may still be inside: the store stands one thread only.
        const std::lock_guard lock(guarded->mutex);
        return call(*guarded->store);
      };
      auto answer = worker_.run(operation, deadline_, std::move(attempt));
      try {
        co_return co_await std::move(answer);
      } catch (const Error& error) {
        if (error.code() != errc::tpm_absent || std::chrono::steady_clock::now() >= wait_until_) throw;
      }
      co_await pause();
    }
  }

 private:
  struct Guarded {
    std::mutex mutex;
    std::unique_ptr<KekStore> store;
  };

  static asio::awaitable<void> pause();

  std::shared_ptr<Guarded> guarded_;
  runtime::Worker worker_;
  std::chrono::milliseconds deadline_;
  std::chrono::steady_clock::time_point wait_until_;
};

}  // namespace volcrypt::keys
