// See store_move.hpp.
#include "agent/cluster/store_move.hpp"

#include <algorithm>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

using Entries = std::vector<Entry>;

const std::string mark{store_key::move};

bool is_content(const Entry& entry) { return entry.key != mark && !entry.key.starts_with(store_key::leases); }

Entries content_of(Entries all) {
  std::erase_if(all, [](const Entry& entry) { return !is_content(entry); });
  return all;
}

Transaction only_under(Revision marked) {
  Transaction transaction;
  transaction.when.push_back({mark, marked});
  return transaction;
}

asio::awaitable<Revision> commit_or_throw(Store& to, Transaction transaction) {
  const auto committed = co_await to.commit(std::move(transaction));
  if (!committed)
    throw Error(committed.error(), {"move the store to", "its new place", "Somebody else writes there. Look who."});
  co_return *committed;
}

// What an earlier move left, which is certainly not in use: its mark is still there.
asio::awaitable<void> clear(Store& to, const Entries& left, Revision marked) {
  Transaction batch = only_under(marked);
  for (const Entry& entry : left) {
    batch.then.emplace_back(Delete{entry.key});
    if (batch.then.size() < max_transaction_operations) continue;
    co_await commit_or_throw(to, std::exchange(batch, only_under(marked)));
  }
  if (!batch.then.empty()) co_await commit_or_throw(to, std::move(batch));
}

asio::awaitable<Revision> put_mark(Store& to, const Uuid& cluster) {
  const auto present = co_await to.list("");
  const auto marked =
      std::find_if(present.begin(), present.end(), [](const Entry& entry) { return entry.key == mark; });
  const bool ours = marked != present.end() && marked->value == cluster.str();
  if (!present.empty() && !ours)
    throw Error(errc::wrong_state, {"move the store to", "its new place",
                                    "There is something already: take another prefix for this cluster."});
  Transaction transaction;
  transaction.when.push_back({mark, ours ? marked->modified : 0});
  transaction.then.emplace_back(Put{mark, cluster.str()});
  const Revision revision = co_await commit_or_throw(to, std::move(transaction));
  if (ours) co_await clear(to, content_of(present), revision);
  co_return revision;
}

bool same(const Entries& one, const Entries& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const Entry& a, const Entry& b) { return a.key == b.key && a.value == b.value; });
}

}  // namespace

asio::awaitable<void> copy_store(Store& from, Store& to, Uuid cluster) {
  const Revision marked = co_await put_mark(to, cluster);
  Entries source = co_await from.list("");
  source = content_of(std::move(source));
  Transaction batch = only_under(marked);
  std::size_t bytes = 0;
  for (const Entry& entry : source) {
    const bool full = batch.then.size() == max_transaction_operations || bytes + entry.value.size() > max_value_bytes;
    if (full && !batch.then.empty()) {
      co_await commit_or_throw(to, std::exchange(batch, only_under(marked)));
      bytes = 0;
    }
    batch.then.emplace_back(Put{entry.key, entry.value});
    bytes += entry.value.size();
  }
  if (!batch.then.empty()) co_await commit_or_throw(to, std::move(batch));
  Entries copied = co_await to.list("");
  copied = content_of(std::move(copied));
  if (!same(source, copied))
    throw Error(errc::store_damaged,
                {"move the store to", "its new place", "What is read back is not what was written."});
}

asio::awaitable<void> finish_move(Store& to) {
  const auto marked = co_await to.get(mark);
  if (!marked) co_return;
  Transaction transaction;
  transaction.when.push_back({mark, marked->modified});
  transaction.then.emplace_back(Delete{mark});
  co_await commit_or_throw(to, std::move(transaction));
}

}  // namespace volcrypt::cluster
