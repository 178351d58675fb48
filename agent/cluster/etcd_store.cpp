// The store on etcd, see etcd_store.hpp.
#include "agent/cluster/etcd_store.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/cluster/etcd_messages.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

constexpr std::uint64_t first_page = 256;                // keys of one answer; fewer when their values are long
constexpr std::chrono::milliseconds first_word{10'000};  // of a watch that was begun

const EtcdStore::Options& checked(const EtcdStore::Options& options) {
  check_etcd_prefix(options.address.prefix);
  return options;
}

Transaction only_when_unchanged(const std::string& key, Revision modified, std::string value) {
  Transaction transaction;
  transaction.when.push_back({key, modified});
  transaction.then.emplace_back(Put{key, std::move(value)});
  return transaction;
}

asio::awaitable<std::optional<etcd::Found>> find(EtcdGateway gateway, std::string what, std::string prefix,
                                                 std::string key) {
  etcd::RangeRequest request;
  request.keys.first = prefix + key;
  const std::string answer = co_await gateway.ask(std::move(what), "/v3/kv/range", etcd::to_json(request));
  etcd::RangeAnswer read = etcd::parse_range(answer, prefix);
  if (read.found.empty()) co_return std::nullopt;
  if (read.found.size() > 1 || read.found.front().entry.key != key)
    throw Error(etcd::unreadable, {"read", "etcd's answer", "It has a key that was not asked for."});
  co_return std::move(read.found.front());
}

// What etcd answered to a change, when the change is known to have been made or not.
etcd::TxnAnswer outcome_of(const std::string& answer) {
  try {
    return etcd::parse_txn(answer);
  } catch (const Error& error) {
    throw Error(errc::unknown_outcome, {"commit to", "the store", error.way_out() + " Look before you repeat."});
  }
}

}  // namespace

EtcdStore::EtcdStore(Options options) : options_(checked(options)), gateway_(options_.address, options_.deadline) {}

// ---- keys ----

asio::awaitable<std::optional<Entry>> EtcdStore::get(std::string key) {
  auto found = co_await find(gateway_, "read the store", options_.address.prefix, std::move(key));
  if (!found) co_return std::nullopt;
  co_return std::move(found->entry);
}

// Empty when the revision that the first page was of is gone before the last page was read.
asio::awaitable<std::optional<std::vector<Entry>>> EtcdStore::list_once(std::string prefix, std::uint64_t& page) {
  std::vector<Entry> all;
  etcd::RangeRequest request;
  request.keys = etcd::all_with(options_.address.prefix + prefix);
  for (bool more = true; more;) {
    request.limit = page;
    etcd::RangeAnswer answer;
    bool too_long = false;
    try {
      const std::string text = co_await gateway_.ask("read the store", "/v3/kv/range", etcd::to_json(request));
      answer = etcd::parse_range(text, options_.address.prefix);
    } catch (const Error& error) {
      if (error.code() == errc::too_old) co_return std::nullopt;
      too_long = error.code() == errc::limit_exceeded && page > 1;
      if (!too_long) throw;
    }
    if (too_long) {
      page = std::max<std::uint64_t>(page / 8, 1);
      continue;
    }
    more = answer.more && !answer.found.empty();
    for (etcd::Found& found : answer.found) {
      if (!found.entry.key.starts_with(prefix) || (!all.empty() && found.entry.key <= all.back().key))
        throw Error(etcd::unreadable, {"read", "etcd's answer", "Its keys are not the ones that were asked for."});
      all.push_back(std::move(found.entry));
    }
    if (request.at == 0) request.at = answer.now;
    if (more) request.keys.first = options_.address.prefix + all.back().key + '\0';
  }
  co_return all;
}

asio::awaitable<std::vector<Entry>> EtcdStore::list(std::string prefix) {
  constexpr int attempts = 5;
  std::uint64_t page = first_page;
  for (int i = 0; i < attempts; ++i) {
    auto all = co_await list_once(prefix, page);
    if (all) co_return std::move(*all);
  }
  throw Error(errc::timed_out, {"read", "the store", "etcd is compacted faster than it can be read."});
}

asio::awaitable<boost::system::result<Revision>> EtcdStore::commit(Transaction transaction) {
  check_limits(transaction);
  const std::string body = etcd::to_json(transaction, options_.address.prefix);
  const std::string text = co_await gateway_.change("commit to the store", "/v3/kv/txn", body);
  const etcd::TxnAnswer answer = outcome_of(text);
  if (!answer.succeeded) co_return make_error_code(errc::conflict);
  co_return answer.now;
}

// ---- watch ----

asio::awaitable<Revision> EtcdStore::now(std::string prefix) {
  etcd::RangeRequest request;
  request.keys.first = options_.address.prefix + prefix;  // whether there is such a key does not matter
  const std::string answer = co_await gateway_.ask("watch the store", "/v3/kv/range", etcd::to_json(request));
  co_return etcd::parse_range(answer, options_.address.prefix).now;
}

// One watch at one member; empty when its time is over without a change.
asio::awaitable<std::optional<Revision>> EtcdStore::watch(std::string prefix, Revision seen) {
  const std::string body = etcd::watch_request(etcd::all_with(options_.address.prefix + prefix), seen + 1);
  auto connection = co_await gateway_.listen("watch the store", "/v3/watch", body);
  const auto until = std::chrono::steady_clock::now() + options_.watch_span;
  bool begun = false;
  for (;;) {
    std::string line;
    try {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      line = co_await connection.next_line(begun ? left : std::min(left, first_word));
    } catch (const Error& error) {
      if (!begun || error.code() != errc::timed_out) throw;
      co_return std::nullopt;
    }
    const etcd::WatchAnswer answer = etcd::parse_watch(line);
    if (answer.has_events) co_return answer.now;
    if (answer.cancelled && answer.compacted == 0)
      throw Error(errc::timed_out,
                  {"watch the store", "in etcd", "etcd says " + volcrypt::quoted(answer.reason) + "."});
    begun = true;
    // What is older than the compaction cannot be told one by one. A member that knows less than the caller lags
    // behind, or the whole store is older than it was: that the caller must see.
    const bool behind = answer.created && answer.now < seen;
    if (!answer.cancelled && !behind) continue;
    const Revision latest = co_await now(prefix);
    if (answer.cancelled || latest < seen) co_return latest;
  }
}

asio::awaitable<Revision> EtcdStore::changed(std::string prefix, Revision seen) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  auto pause = options_.first_pause;
  for (;;) {
    bool failed = false;
    try {
      const std::optional<Revision> change = co_await watch(prefix, seen);
      if (change) co_return *change;
      pause = options_.first_pause;
    } catch (const Error&) {  // whoever reads or writes is told; who only waits goes on waiting
      failed = true;
    }
    gateway_.prefer_another();
    if (!failed) continue;
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
    pause = std::min(2 * pause, options_.longest_pause);
  }
}

// ---- leases ----

asio::awaitable<boost::system::result<Lease>> EtcdStore::acquire(std::string name, std::string holder,
                                                                 std::chrono::seconds ttl) {
  const std::string what = "take a lease from the store", key = store_key::lease(name);
  const auto before = co_await find(gateway_, what, options_.address.prefix, key);
  if (before && before->entry.value != holder) co_return make_error_code(errc::conflict);
  const std::string granted = co_await gateway_.ask(what, "/v3/lease/grant", etcd::grant_request(ttl.count()));
  const etcd::LeaseId id = etcd::parse_grant(granted);
  const Transaction take = only_when_unchanged(key, before ? before->entry.modified : 0, holder);
  const std::string body = etcd::to_json(take, options_.address.prefix, id);
  const std::string text = co_await gateway_.change(what, "/v3/kv/txn", body);
  const etcd::TxnAnswer answer = outcome_of(text);
  // Of no more use: the new one, or this holder's earlier one. What is not given back ends by itself.
  const etcd::LeaseId unused = !answer.succeeded ? id : before ? before->lease : 0;
  if (unused != 0) {
    try {
      co_await gateway_.ask(what, "/v3/lease/revoke", etcd::lease_request(unused));
    } catch (const Error&) {  // see above
    }
  }
  if (!answer.succeeded) co_return make_error_code(errc::conflict);
  co_return Lease{name, {key, answer.now}};
}

asio::awaitable<void> EtcdStore::renew(const Lease& lease) {
  const Lease wanted = lease;  // the caller's may not live as long as this coroutine
  const std::string what = "renew a lease of the store";
  const auto held = co_await find(gateway_, what, options_.address.prefix, wanted.fence.key);
  std::int64_t left = 0;
  if (held && held->entry.modified == wanted.fence.modified) {
    const std::string answer = co_await gateway_.ask(what, "/v3/lease/keepalive", etcd::lease_request(held->lease));
    left = etcd::parse_keepalive(answer);
  }
  if (left <= 0) throw Error(errc::conflict, {"renew the lease", wanted.name, "It ended, or another node has it."});
}

asio::awaitable<void> EtcdStore::release(Lease lease) {
  const std::string what = "give back a lease of the store";
  const auto held = co_await find(gateway_, what, options_.address.prefix, lease.fence.key);
  if (!held || held->entry.modified != lease.fence.modified) co_return;
  try {
    co_await gateway_.ask(what, "/v3/lease/revoke", etcd::lease_request(held->lease));
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) throw;  // "lease not found": it ended in between
  }
}

}  // namespace volcrypt::cluster
