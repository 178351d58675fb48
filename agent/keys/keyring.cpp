// The keyring's worker and its pause between two looks for a TPM; see keyring.hpp.
#include "agent/keys/keyring.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace volcrypt::keys {

Keyring::Keyring(std::unique_ptr<KekStore> store, std::chrono::milliseconds deadline,
                 std::chrono::milliseconds patience)
    : guarded_(std::make_shared<Guarded>()),
      worker_("keys", 1),
      deadline_(deadline),
      wait_until_(std::chrono::steady_clock::now() + patience) {
  guarded_->store = std::move(store);
}

asio::awaitable<void> Keyring::pause() {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(250));
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace volcrypt::keys
