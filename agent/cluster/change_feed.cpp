// Waking the waiters of a ChangeFeed. A waiter sleeps on a timer of its own loop; the publisher, on any thread, posts a
// handler there that ends the sleep. The waiter's timer is touched on its loop only.
#include "agent/cluster/change_feed.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace volcrypt::cluster {

using Clock = std::chrono::steady_clock;

struct ChangeFeed::Waiter {
  std::string prefix;
  Revision seen;
  std::shared_ptr<asio::steady_timer> alarm;  // moved away when it rings
};

bool ChangeFeed::changed(const std::string& prefix, Revision seen) const {
  if (seen < horizon_) return true;
  for (auto at = changes_.lower_bound(prefix); at != changes_.end() && at->first.starts_with(prefix); ++at) {
    if (at->second > seen) return true;
  }
  return false;
}

void ChangeFeed::publish(Revision revision, const std::vector<std::string>& keys) {
  constexpr std::size_t most_keys = 8192;
  const std::lock_guard lock(mutex_);
  latest_ = std::max(latest_, revision);
  for (const auto& key : keys) changes_[key] = revision;
  if (changes_.size() > most_keys) {
    changes_.clear();
    horizon_ = latest_;
  }
  wake();
}

void ChangeFeed::doubt() {
  const std::lock_guard lock(mutex_);
  in_doubt_ = true;
}

bool ChangeFeed::in_doubt() const {
  const std::lock_guard lock(mutex_);
  return in_doubt_;
}

void ChangeFeed::catch_up(Revision now) {
  const std::lock_guard lock(mutex_);
  in_doubt_ = false;
  if (now <= latest_) return;  // it was not there after all
  changes_.clear();
  horizon_ = latest_ = now;
  wake();
}

void ChangeFeed::wake() {
  for (auto* waiter : waiters_) {
    if (!waiter->alarm || !changed(waiter->prefix, waiter->seen)) continue;
    auto executor = waiter->alarm->get_executor();
    // Moved, so that this thread never holds the last reference to an object of the loop.
    asio::post(executor, [alarm = std::move(waiter->alarm)] { alarm->expires_at(Clock::time_point::min()); });
  }
}

asio::awaitable<Revision> ChangeFeed::wait(std::shared_ptr<ChangeFeed> feed, std::string prefix, Revision seen) {
  auto alarm = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, Clock::time_point::max());
  Waiter waiter{prefix, seen, alarm};
  struct Registration {  // also ends when the coroutine is destroyed as it waits
    ChangeFeed& feed;
    std::list<Waiter*>::iterator place;
    ~Registration() {
      const std::lock_guard lock(feed.mutex_);
      feed.waiters_.erase(place);
    }
  };
  std::unique_lock lock(feed->mutex_);
  if (feed->changed(prefix, seen)) co_return feed->latest_;
  const Registration registration{*feed, feed->waiters_.insert(feed->waiters_.end(), &waiter)};
  lock.unlock();

  co_await alarm->async_wait(asio::as_tuple(asio::use_awaitable));
  lock.lock();
  const bool rang = feed->changed(prefix, seen);
  const auto latest = feed->latest_;
  lock.unlock();
  if (!rang) throw boost::system::system_error(asio::error::operation_aborted, "watch " + prefix);
  co_return latest;
}

}  // namespace volcrypt::cluster
