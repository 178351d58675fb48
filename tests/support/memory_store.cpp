// The store in memory, see memory_store.hpp.
#include "tests/support/memory_store.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::test {

using namespace cluster;

// A real store never answers without an await.
asio::awaitable<void> MemoryStore::pass() {
  co_await asio::post(asio::use_awaitable);
  if (before) co_await before();
}

asio::awaitable<std::optional<Entry>> MemoryStore::get(std::string key) {
  co_await pass();
  const auto found = entries.find(key);
  if (found == entries.end()) co_return std::nullopt;
  co_return found->second;
}

asio::awaitable<std::vector<Entry>> MemoryStore::list(std::string prefix) {
  co_await pass();
  std::vector<Entry> found;
  for (auto at = entries.lower_bound(prefix); at != entries.end() && at->first.starts_with(prefix); ++at) {
    found.push_back(at->second);
  }
  co_return found;
}

void MemoryStore::write(const std::string& key, const std::string& value) { entries[key] = {key, value, revision_}; }

void MemoryStore::expire() {
  const auto now = now_();
  std::erase_if(leases_, [&](const auto& lease) {
    const bool ended = lease.second.expires <= now || lease.second.expires > now + lease.second.ttl;
    if (ended) entries.erase(store_key::lease(lease.first));
    return ended;
  });
}

asio::awaitable<boost::system::result<Revision>> MemoryStore::commit(Transaction transaction) {
  check_limits(transaction);
  co_await pass();
  expire();
  for (const auto& compare : transaction.when) {
    const auto found = entries.find(compare.key);
    if ((found == entries.end() ? 0 : found->second.modified) != compare.modified)
      co_return make_error_code(errc::conflict);
  }
  if (transaction.then.empty()) co_return revision_;
  ++revision_;
  std::vector<std::string> keys;
  for (const auto& operation : transaction.then) {
    if (const auto* put = std::get_if<Put>(&operation)) {
      write(put->key, put->value);
      keys.push_back(put->key);
    } else {
      const auto& gone = std::get<Delete>(operation);
      entries.erase(gone.key);
      keys.push_back(gone.key);
    }
  }
  const auto committed = revision_;
  feed_->publish(committed, keys);
  if (after) co_await after();
  co_return committed;
}

asio::awaitable<Revision> MemoryStore::changed(std::string prefix, Revision seen) {
  co_return co_await ChangeFeed::wait(feed_, std::move(prefix), seen);
}

asio::awaitable<boost::system::result<Lease>> MemoryStore::acquire(std::string name, std::string holder,
                                                                   std::chrono::seconds ttl) {
  co_await pass();
  expire();
  const auto found = leases_.find(name);
  if (found != leases_.end() && found->second.holder != holder) co_return make_error_code(errc::conflict);
  ++revision_;
  write(store_key::lease(name), holder);
  leases_[name] = {holder, revision_, ttl, now_() + ttl};
  co_return Lease{name, {store_key::lease(name), revision_}};
}

asio::awaitable<void> MemoryStore::renew(const Lease& lease) {
  const auto wanted = lease;
  co_await pass();
  expire();
  const auto found = leases_.find(wanted.name);
  if (found == leases_.end() || found->second.fence != wanted.fence.modified) {
    throw Error(errc::conflict, {"renew the lease", wanted.name, ""});
  }
  found->second.expires = now_() + found->second.ttl;
}

asio::awaitable<void> MemoryStore::release(Lease lease) {
  co_await pass();
  const auto found = leases_.find(lease.name);
  if (found == leases_.end() || found->second.fence != lease.fence.modified) co_return;
  leases_.erase(found);
  entries.erase(lease.fence.key);
}

}  // namespace volcrypt::test
