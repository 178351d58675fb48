// RotationDriver's lease: taken when there is something to do, kept while it is done, given back then, or when this
// node is no member any more. What is done under it is in rotation_driver.cpp.
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/rotation_driver.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

asio::awaitable<bool> RotationDriver::coordinate() {
  bool is_held = false;
  {
    const auto turn = co_await turn_.take();
    is_held = co_await have_lease();
    if (is_held) co_await follow_members();
  }
  co_await rest();
  co_return is_held;
}

asio::awaitable<void> RotationDriver::stand_by() {
  const auto state = co_await load();
  // Previous generations alone wait for drives, not for a coordinator.
  if (state.distributing != 0 || state.rotation != RotationPhase::NoRotation || !state.retiring.empty())
    co_await coordinate();
}

asio::awaitable<void> RotationDriver::leave() {
  const auto turn = co_await turn_.take();
  left_ = true;
  wake();
  co_await give_back();
}

asio::awaitable<std::string> RotationDriver::coordinator() {
  const auto lease = co_await store().get(store_key::lease(store_key::coordinator_lease));
  if (!lease) co_return "";
  for (const auto& member : members_->all()) {
    if (member->id().str() == lease->value) co_return member->name();
  }
  co_return lease->value;
}

asio::awaitable<void> RotationDriver::need_lease() {
  constexpr std::chrono::milliseconds pause{200};
  for (const auto until = options_.clock->now() + options_.lease_patience;;) {
    const bool is_held = co_await have_lease();
    if (is_held) co_return;
    if (options_.clock->now() > until) break;
    co_await sleep(std::min(pause, options_.lease_patience));
  }
  const auto holder = co_await coordinator();
  throw CoordinatedElsewhere(
      errc::conflict,
      {"coordinate", "the cluster",
       "Node " + volcrypt::quoted(holder) +
           " does so now: give the command there, or wait until its work has ended (`volcryptctl get clusterinfo`). If "
           "that node is down, another one goes on when its lease has ended (`coordinator-lease` in volcryptd.conf, a "
           "minute by default), or a minute later."});
}

// So that the next wish may be given at any node.
asio::awaitable<void> RotationDriver::rest() {
  const auto turn = co_await turn_.take();
  if (stopped_ || !under_way_.empty() || !lease_) co_return;
  try {
    co_await follow_members();  // what ended because a member is gone may be what the others waited for
  } catch (const Error&) {      // whoever has the lease next finds out
  }
  if (under_way_.empty()) co_await give_back();
}

asio::awaitable<void> RotationDriver::give_back() {
  if (!lease_) co_return;
  auto lease = *std::exchange(lease_, std::nullopt);
  try {
    co_await store().release(std::move(lease));
  } catch (const Error&) {  // it ends by itself
  }
}

// A lease that had to be taken anew may have been another's meanwhile: whatever was under way is resumed from the
// store.
asio::awaitable<bool> RotationDriver::have_lease() {
  store();  // throws when stopped
  std::exception_ptr removed;
  try {
    co_await members_->reload();
  } catch (const NotAMember&) {
    removed = std::current_exception();
  }
  if (removed) {
    left_ = true;
    co_await give_back();  // or nobody could go on
    std::rethrow_exception(removed);
  }
  if (lease_ && options_.clock->now() - renewed_ < options_.lease_ttl / 3) co_return true;
  if (lease_) {
    bool lost = false;
    try {
      co_await store().renew(*lease_);
    } catch (const Error& error) {
      if (error.code() != errc::conflict) throw;
      lost = true;
    }
    if (!lost) {
      renewed_ = options_.clock->now();
      co_return true;
    }
    lease_.reset();
  }
  const auto taken = co_await store().acquire(std::string(store_key::coordinator_lease), members_->self().id().str(),
                                              options_.lease_ttl);
  if (!taken) co_return false;
  lease_ = *taken;
  renewed_ = options_.clock->now();
  left_ = false;
  asked_.clear();
  std::exception_ptr failure;
  try {
    const auto step = co_await commit(event::CoordinatorStarted{}, {});
    const auto executor = co_await asio::this_coro::executor;
    start(executor, step.actions);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await give_back();  // so that the next attempt resumes, too, wherever it is made
    std::rethrow_exception(failure);
  }
  co_return true;
}

asio::awaitable<void> RotationDriver::keep_lease(Self self) {
  while (!self->stopped_ && !self->under_way_.empty()) {
    co_await self->sleep(self->options_.lease_ttl / 3);
    if (self->stopped_ || self->under_way_.empty()) break;
    try {
      const bool is_held = co_await self->coordinate();
      if (!is_held) {
        self->left_ = true;
        self->wake();
      }
    } catch (const Error& error) {
      self->last_failure_ = error.what();  // the next round tries again
    }
  }
  self->keeping_lease_ = false;
}

}  // namespace volcrypt::cluster
