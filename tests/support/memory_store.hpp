// MemoryStore: a Store in memory with state, revisions, leases and watch, for tests that need no file. It passes the
// same conformance suite as the real engines. Survives the loop: a test can drop everything else and start again on it.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "agent/cluster/change_feed.hpp"
#include "agent/cluster/store.hpp"

namespace volcrypt::test {

class MemoryStore final : public cluster::Store {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;
  explicit MemoryStore(Now now = &std::chrono::system_clock::now) : now_(std::move(now)) {}

  // Awaited before each call, and after each commit that took effect. May throw what a store may, or never end: a
  // crash.
  std::function<cluster::asio::awaitable<void>()> before, after;

  cluster::asio::awaitable<std::optional<cluster::Entry>> get(std::string key) override;
  cluster::asio::awaitable<std::vector<cluster::Entry>> list(std::string prefix) override;
  cluster::asio::awaitable<boost::system::result<cluster::Revision>> commit(cluster::Transaction transaction) override;
  cluster::asio::awaitable<cluster::Revision> changed(std::string prefix, cluster::Revision seen) override;
  cluster::asio::awaitable<boost::system::result<cluster::Lease>> acquire(std::string name, std::string holder,
                                                                          std::chrono::seconds ttl) override;
  cluster::asio::awaitable<void> renew(const cluster::Lease& lease) override;
  cluster::asio::awaitable<void> release(cluster::Lease lease) override;

  std::map<std::string, cluster::Entry> entries;  // for tests to look at

 private:
  struct Held {
    std::string holder;
    cluster::Revision fence = 0;
    std::chrono::seconds ttl{};
    std::chrono::system_clock::time_point expires;
  };

  void expire();
  void write(const std::string& key, const std::string& value);
  cluster::asio::awaitable<void> pass();

  Now now_;
  cluster::Revision revision_ = 0;
  std::map<std::string, Held> leases_;
  std::shared_ptr<cluster::ChangeFeed> feed_ = std::make_shared<cluster::ChangeFeed>(0);
};

}  // namespace volcrypt::test
