// Unlocking: collects requests and serves them batch by batch. See unlocking.hpp.
#include "agent/volumes/unlocking.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>

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

}  // namespace

struct Unlocking::State {
  explicit State(keys::NodeKeys& node_keys) : keys(node_keys) {}
  keys::NodeKeys& keys;
  std::map<keys::Generation, std::map<Uuid, Waiters>> pending;
  std::map<std::pair<keys::Generation, Uuid>, std::weak_ptr<const Secret>> held;  // by those who asked, not by us
  bool serving = false;
  std::uint64_t batches = 0;
};

namespace {

template <class State>
asio::awaitable<void> serve_one(std::shared_ptr<State> state, keys::Generation generation,
                                std::map<Uuid, Waiters> batch) {
  std::vector<Uuid> groups;
  for (const auto& [group, waiters] : batch) groups.push_back(group);
  std::vector<Secret> found;
  std::exception_ptr failure;
  try {
    ++state->batches;
    const auto do_group_keys = [generation, groups](keys::KekStore& store) {
      return store.group_keys(generation, groups);
    };
    found = co_await state->keys.chosen().with("open DEK groups of generation " + std::to_string(generation),
                                               do_group_keys);
  } catch (...) {
    failure = std::current_exception();  // handed to every waiter below
  }
  std::size_t index = 0;
  for (auto& [group, waiters] : batch) {
    const GroupKey key = failure ? nullptr : std::make_shared<const Secret>(std::move(found.at(index++)));
    if (key) state->held[{generation, group}] = key;
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
    const keys::Generation generation = first->first;
    std::map<Uuid, Waiters> batch = std::move(first->second);
    state->pending.erase(first);
    co_await serve_one(state, generation, std::move(batch));
  }
  state->serving = false;
}

}  // namespace

Unlocking::Unlocking(keys::NodeKeys& keys) : state_(std::make_shared<State>(keys)) {}
Unlocking::~Unlocking() = default;

std::uint64_t Unlocking::batches() const noexcept { return state_->batches; }

asio::awaitable<GroupKey> Unlocking::group_key(keys::Generation generation, Uuid group) {
  std::erase_if(state_->held, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = state_->held.find({generation, group}); found != state_->held.end()) {
    if (GroupKey key = found->second.lock()) co_return key;
  }
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>(executor);
  state_->pending[generation][group].push_back(waiter);
  if (!state_->serving) {
    state_->serving = true;
    runtime::spawn(executor, "open DEK groups", serve(state_));
  }
  (void)co_await waiter->done.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->failure) std::rethrow_exception(waiter->failure);
  if (!waiter->key) throw boost::system::system_error(asio::error::operation_aborted);
  co_return std::move(waiter->key);
}

}  // namespace volcrypt::volumes
