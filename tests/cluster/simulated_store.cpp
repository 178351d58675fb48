// See simulated_store.hpp.
#include "tests/cluster/simulated_store.hpp"

#include "dmtarget/error.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

constexpr auto deadline = 2s;
constexpr auto watch_deadline = 10s;

Error no_answer() { return Error(errc::timed_out, {"ask", "the store", "It does not answer."}); }

asio::awaitable<bool> renewed(MemoryStore& memory, Lease lease) {
  co_await memory.renew(lease);
  co_return true;
}

asio::awaitable<bool> released(MemoryStore& memory, Lease lease) {
  co_await memory.release(std::move(lease));
  co_return true;
}

}  // namespace

template <class T>
asio::awaitable<std::optional<T>> SimulatedStore::ask(std::function<asio::awaitable<T>()> question) {
  return network_.call<T>(self_, store_, std::move(question), deadline);
}

asio::awaitable<std::optional<Entry>> SimulatedStore::get(std::string key) {
  std::function<asio::awaitable<std::optional<Entry>>()> question = [this, key] { return memory_.get(key); };
  auto answer = co_await ask(std::move(question));
  if (!answer) throw no_answer();
  co_return std::move(*answer);
}

asio::awaitable<std::vector<Entry>> SimulatedStore::list(std::string prefix) {
  std::function<asio::awaitable<std::vector<Entry>>()> question = [this, prefix] { return memory_.list(prefix); };
  auto answer = co_await ask(std::move(question));
  if (!answer) throw no_answer();
  co_return std::move(*answer);
}

asio::awaitable<boost::system::result<Revision>> SimulatedStore::commit(Transaction transaction) {
  using Committed = std::optional<Revision>;
  struct Commit {
    static asio::awaitable<Committed> to(MemoryStore& memory, Transaction transaction) {
      const auto committed = co_await memory.commit(std::move(transaction));
      co_return committed ? Committed(*committed) : std::nullopt;
    }
  };
  std::function<asio::awaitable<Committed>()> question = [this, transaction] {
    return Commit::to(memory_, transaction);
  };
  const auto answer = co_await ask(std::move(question));
  if (!answer) throw Error(errc::unknown_outcome, {"commit to", "the store", "Look before you repeat."});
  if (!*answer) co_return make_error_code(errc::conflict);
  co_return **answer;
}

asio::awaitable<Revision> SimulatedStore::changed(std::string prefix, Revision seen) {
  for (;;) {
    std::function<asio::awaitable<Revision>()> question = [this, prefix, seen] {
      return memory_.changed(prefix, seen);
    };
    const auto answer = co_await network_.call<Revision>(self_, store_, std::move(question), watch_deadline);
    if (answer) co_return *answer;
  }
}

asio::awaitable<boost::system::result<Lease>> SimulatedStore::acquire(std::string name, std::string holder,
                                                                      std::chrono::seconds ttl) {
  using Acquired = std::optional<Lease>;
  struct Acquire {
    static asio::awaitable<Acquired> from(MemoryStore& memory, std::string name, std::string holder,
                                          std::chrono::seconds ttl) {
      const auto lease = co_await memory.acquire(std::move(name), std::move(holder), ttl);
      co_return lease ? Acquired(*lease) : std::nullopt;
    }
  };
  std::function<asio::awaitable<Acquired>()> question = [this, name, holder, ttl] {
    return Acquire::from(memory_, name, holder, ttl);
  };
  const auto answer = co_await ask(std::move(question));
  if (!answer) throw no_answer();
  if (!*answer) co_return make_error_code(errc::conflict);
  co_return **answer;
}

asio::awaitable<void> SimulatedStore::renew(const Lease& lease) {
  std::function<asio::awaitable<bool>()> question = [this, lease] { return renewed(memory_, lease); };
  const auto answer = co_await ask(std::move(question));
  if (!answer) throw no_answer();
}

asio::awaitable<void> SimulatedStore::release(Lease lease) {
  std::function<asio::awaitable<bool>()> question = [this, lease] { return released(memory_, lease); };
  const auto answer = co_await ask(std::move(question));
  if (!answer) throw no_answer();
}

}  // namespace volcrypt::test
