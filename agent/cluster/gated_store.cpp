// See gated_store.hpp.
#include "agent/cluster/gated_store.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

// One change on its way, also when its coroutine is destroyed as it waits.
struct GatedStore::Passage {
  explicit Passage(GatedStore& gate) : under_way(gate.under_way_) {
    if (gate.held_)
      throw Error(errc::wrong_state, {"change", "the store", "It is being moved to etcd; try again in a minute."});
    ++*under_way;
  }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;
  ~Passage() { --*under_way; }
  std::shared_ptr<std::size_t> under_way;
};

asio::awaitable<void> GatedStore::hold_changes() {
  constexpr std::chrono::seconds longest{60};
  constexpr std::chrono::milliseconds look{10};
  held_ = true;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (const auto until = std::chrono::steady_clock::now() + longest; *under_way_ > 0;) {
    if (std::chrono::steady_clock::now() > until) {
      held_ = false;
      throw Error(errc::timed_out, {"hold up", "the changes of the store", "One of them does not end; try again."});
    }
    timer.expires_after(look);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<boost::system::result<Revision>> GatedStore::commit(Transaction transaction) {
  const Passage passage(*this);
  co_return co_await behind_->commit(std::move(transaction));
}

asio::awaitable<boost::system::result<Lease>> GatedStore::acquire(std::string name, std::string holder,
                                                                  std::chrono::seconds ttl) {
  const Passage passage(*this);
  co_return co_await behind_->acquire(std::move(name), std::move(holder), ttl);
}

asio::awaitable<void> GatedStore::renew(const Lease& lease) {
  const Passage passage(*this);
  co_await behind_->renew(lease);
}

asio::awaitable<void> GatedStore::release(Lease lease) {
  const Passage passage(*this);
  co_await behind_->release(std::move(lease));
}

}  // namespace volcrypt::cluster
