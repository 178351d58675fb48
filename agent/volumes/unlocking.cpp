// Unlocking: collects requests and serves them batch by batch. See unlocking.hpp.
#include "agent/volumes/unlocking.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>
#include <optional>

#include "agent/runtime/spawn.hpp"

namespace volcrypt::volumes {

namespace {

// Long enough for the drives of one scan to meet, short beside one TPM operation (30 to 150 ms on a chip).
constexpr std::chrono::milliseconds gathering{10};

struct Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : done(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer done;  // cancelled when key or failure is set
  GroupKey key;
  std::exception_ptr failure;
};
using Waiters = std::vector<std::shared_ptr<Waiter>>;

// Which KEK a group key comes from: the one this node holds under that number (empty name), or the very one named.
using Source = std::pair<keys::Generation, Bytes>;

// Requests that wait for one call of the key store.
struct Batch {
  std::optional<keys::KekRecord> record;  // the cluster's, of those who wrap
  std::map<Uuid, Waiters> waiters;        // by group
};

}  // namespace

struct Unlocking::State {
  explicit State(keys::NodeKeys& node_keys) : keys(node_keys) {}
  keys::NodeKeys& keys;
  std::map<Source, Batch> pending;
  std::map<std::pair<Source, Uuid>, std::weak_ptr<const Secret>> held;  // by those who asked, not by us
  bool serving = false;
  std::uint64_t batches = 0;
};

namespace {

template <class State>
asio::awaitable<void> serve_one(std::shared_ptr<State> state, Source source, Batch batch) {
  std::vector<Uuid> groups;
  for (const auto& [group, waiters] : batch.waiters) groups.push_back(group);
  std::vector<Secret> found;
  std::exception_ptr failure;
  try {
    ++state->batches;
    const auto do_group_keys = [generation = source.first, record = batch.record, groups](keys::KekStore& store) {
      return record ? store.proved_group_keys(*record, groups) : store.group_keys(generation, groups);
    };
    found = co_await state->keys.chosen().with("open DEK groups of generation " + std::to_string(source.first),
                                               do_group_keys);
  } catch (...) {
    failure = std::current_exception();  // handed to every waiter below
  }
  std::size_t index = 0;
  for (auto& [group, waiters] : batch.waiters) {
    const GroupKey key = failure ? nullptr : std::make_shared<const Secret>(std::move(found.at(index++)));
    if (key) state->held[{source, group}] = key;
    for (const std::shared_ptr<Waiter>& waiter : waiters) {
      waiter->key = key;
      waiter->failure = failure;
      waiter->done.cancel();
    }
  }
}

template <class State>
asio::awaitable<void> serve(std::shared_ptr<State> state) {
  asio::steady_timer pause(co_await asio::this_coro::executor, gathering);
  co_await pause.async_wait(asio::use_awaitable);
  while (!state->pending.empty()) {
    auto first = state->pending.begin();
    const Source source = first->first;
    Batch batch = std::move(first->second);
    state->pending.erase(first);
    co_await serve_one(state, source, std::move(batch));
  }
  state->serving = false;
}

template <class State>
asio::awaitable<GroupKey> wait_for_key(std::shared_ptr<State> state, Source source,
                                       std::optional<keys::KekRecord> record, Uuid group) {
  std::erase_if(state->held, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = state->held.find({source, group}); found != state->held.end()) {
    if (GroupKey key = found->second.lock()) co_return key;
  }
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>(executor);
  Batch& batch = state->pending[source];
  batch.record = std::move(record);
  batch.waiters[group].push_back(waiter);
  if (!state->serving) {
    state->serving = true;
    runtime::spawn(executor, "open DEK groups", serve(state));
  }
  (void)co_await waiter->done.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->failure) std::rethrow_exception(waiter->failure);
  if (!waiter->key) throw boost::system::system_error(asio::error::operation_aborted);
  co_return std::move(waiter->key);
}

}  // namespace

Unlocking::Unlocking(keys::NodeKeys& keys) : state_(std::make_shared<State>(keys)) {}
Unlocking::~Unlocking() = default;

std::uint64_t Unlocking::batches() const noexcept { return state_->batches; }

asio::awaitable<GroupKey> Unlocking::group_key(keys::Generation generation, Uuid group) {
  return wait_for_key(state_, Source{generation, {}}, std::nullopt, group);
}

asio::awaitable<GroupKey> Unlocking::proved_group_key(keys::KekRecord record, Uuid group) {
  Source source{record.generation, record.name};
  return wait_for_key(state_, std::move(source), std::optional(std::move(record)), group);
}

}  // namespace volcrypt::volumes
