// What rotation_driver.hpp promises, in three parts: the lease and the stored state, the actions that are under way,
// the pauses. What each action does is in rotation_actions.cpp.
#include "agent/cluster/rotation_driver.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/runtime/spawn.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

using Clock = std::chrono::steady_clock;

struct RotationDriver::Sleeper {
  asio::steady_timer alarm;
};

RotationDriver::RotationDriver(Store& store, LocalPin& pin, std::vector<Member*> members, DriverOptions options)
    : store_(store), pin_(pin), members_(std::move(members)), options_(options) {}

RotationDriver::~RotationDriver() = default;

void RotationDriver::stop() {
  stopped_ = true;
  wake();
}

// Every use after an await goes through here: the service may have ended meanwhile.
Store& RotationDriver::store() {
  if (stopped_) throw boost::system::system_error(asio::error::operation_aborted, "coordinate");
  return store_;
}

Member& RotationDriver::member(const Uuid& id) {
  store();  // throws when stopped
  for (auto* member : members_) {
    if (member->id() == id) return *member;
  }
  throw Error(errc::invalid_argument, {"find member", id.str(), "It is not in the membership any more."});
}

std::set<Uuid> RotationDriver::ids() const {
  std::set<Uuid> found;
  for (const auto* member : members_) found.insert(member->id());
  return found;
}

// ---- the lease and the stored state ----

asio::awaitable<EncryptionState> RotationDriver::load() {
  const auto entry = co_await store().get(std::string(store_key::encryption));
  co_return entry ? parse_encryption_state(entry->value) : EncryptionState{};
}

asio::awaitable<void> RotationDriver::coordinate() {
  const auto turn = co_await turn_.take();
  co_await ensure_lease();
}

asio::awaitable<EncryptionState> RotationDriver::apply(Event event) {
  const bool begins = std::holds_alternative<event::Rotate>(event) || std::holds_alternative<event::Enable>(event);
  auto state = co_await record(event, {});
  if (begins) {
    last_failure_.clear();
    last_error_ = nullptr;
  }
  if (std::holds_alternative<event::Abort>(event)) {
    last_failure_ = "it was aborted" + (last_failure_.empty() ? "" : "; before, " + last_failure_);
    wake();  // what waited for another attempt has nothing to wait for
  }
  co_return state;
}

asio::awaitable<EncryptionState> RotationDriver::record(Event event, Writes also) {
  const auto turn = co_await turn_.take();
  co_await ensure_lease();
  auto step = co_await commit(std::move(event), std::move(also));
  const auto executor = co_await asio::this_coro::executor;
  start(executor, step.actions);
  co_return std::move(step.state);
}

// A lease that had to be taken anew may have been another's meanwhile: whatever was under way is resumed from the
// store.
asio::awaitable<void> RotationDriver::ensure_lease() {
  if (lease_ && Clock::now() - renewed_ < options_.lease_ttl / 3) co_return;
  if (lease_) {
    bool lost = false;
    try {
      co_await store().renew(*lease_);
    } catch (const Error& error) {
      if (error.code() != errc::conflict) throw;
      lost = true;
    }
    if (!lost) {
      renewed_ = Clock::now();
      co_return;
    }
    lease_.reset();
  }
  const auto taken = co_await store().acquire(std::string(store_key::coordinator_lease), members_.front()->id().str(),
                                              options_.lease_ttl);
  if (!taken) {
    throw Error(errc::conflict,
                {"coordinate", "the cluster", "Another node coordinates it now; ask there or wait a minute."});
  }
  lease_ = *taken;
  renewed_ = Clock::now();
  std::exception_ptr failure;
  try {
    const auto step = co_await commit(event::CoordinatorStarted{}, {});
    const auto executor = co_await asio::this_coro::executor;
    start(executor, step.actions);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure) {
    lease_.reset();  // so that the next attempt resumes, too
    std::rethrow_exception(failure);
  }
}

asio::awaitable<Step> RotationDriver::commit(Event event, Writes also) {
  constexpr int attempts = 5;
  for (int i = 0; i < attempts; ++i) {
    const auto entry = co_await store().get(std::string(store_key::encryption));
    const auto before = entry ? parse_encryption_state(entry->value) : EncryptionState{};
    const auto step = advance(before, ids(), event);
    if (!step) {
      throw Error(errc::wrong_state, {"change", "the cluster's encryption state",
                                      "It is " + std::string(spelling(before.phase)) + " and " +
                                          std::string(spelling(before.rotation)) + " now."});
    }
    if (step->state == before && also.empty()) co_return *step;
    const auto value = to_json(step->state);
    Transaction transaction;
    transaction.when.push_back(lease_->fence);
    transaction.when.push_back({std::string(store_key::encryption), entry ? entry->modified : 0});
    transaction.then.emplace_back(Put{std::string(store_key::encryption), value});
    transaction.then.insert(transaction.then.end(), also.begin(), also.end());
    if (co_await settle(std::move(transaction), value)) {
      if (options_.changed) options_.changed(before, step->state);
      co_return *step;
    }
    const auto fence = co_await store().get(lease_->fence.key);
    if (!fence || fence->modified != lease_->fence.modified) {
      lease_.reset();
      break;
    }
  }
  throw Error(errc::conflict,
              {"change", "the cluster's encryption state", "Another coordinator was faster; try again."});
}

// True when the transaction is known to stand in the store.
asio::awaitable<bool> RotationDriver::settle(Transaction transaction, const std::string& value) {
  const auto before = transaction.when.back();
  bool unknown = false;
  try {
    const auto committed = co_await store().commit(std::move(transaction));
    co_return committed.has_value();
  } catch (const Error& error) {
    if (error.code() != errc::unknown_outcome) throw;
    unknown = true;
  }
  const auto entry = co_await store().get(before.key);
  co_return unknown&& entry && entry->modified != before.modified && entry->value == value;
}

asio::awaitable<void> RotationDriver::keep_lease(Self self) {
  while (!self->stopped_ && !self->under_way_.empty()) {
    co_await self->sleep(self->options_.lease_ttl / 3);
    if (self->stopped_ || self->under_way_.empty()) break;
    try {
      co_await self->coordinate();
    } catch (const Error& error) {
      self->last_failure_ = error.what();  // the actions find out for themselves; the next round tries again
    }
  }
  self->keeping_lease_ = false;
}

// ---- the actions ----

void RotationDriver::start(const asio::any_io_executor& executor, const std::vector<Action>& actions) {
  for (const auto& action : actions) {
    if (!under_way_.insert(action).second) continue;
    runtime::spawn(executor, "rotation", perform(shared_from_this(), action));
  }
  if (!under_way_.empty() && !std::exchange(keeping_lease_, true)) {
    runtime::spawn(executor, "coordinator's lease", keep_lease(shared_from_this()));
  }
}

// Until the action has succeeded, or the state has moved on and nobody needs it.
asio::awaitable<void> RotationDriver::perform(Self self, Action action) {
  bool take_back = false;
  for (auto pause = self->options_.first_pause; !self->stopped_;
       pause = std::min(2 * pause, self->options_.longest_pause)) {
    std::exception_ptr error;
    try {
      if (co_await self->attempt(action, take_back)) break;
      if (std::exchange(take_back, true)) break;
      continue;
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    // What fails after an abort is no news: the abort is the last thing that happened.
    if (co_await self->is_overtaken(action)) break;
    self->note_failure(action, error);
    if (!self->stopped_) co_await self->sleep(pause);
  }
  self->failing_.erase(action);
  self->under_way_.erase(action);
  const bool again = std::holds_alternative<action::TakeCensus>(action) && std::exchange(self->census_again_, false);
  if (again && !self->stopped_) {
    const auto executor = co_await asio::this_coro::executor;
    self->start(executor, std::vector<Action>(1, action));
  }
  if (self->under_way_.empty()) self->wake();  // the lease need not be kept
}

asio::awaitable<bool> RotationDriver::is_overtaken(Action action) {
  try {
    const auto state = co_await load();
    co_return !still_due(state, ids(), action);
  } catch (const boost::system::system_error&) {
    co_return false;  // nobody knows: the failure counts
  }
}

// False: the action failed in a way that ends the enabling or the rotation; `take_back` then burns the number. A KEK
// that could not be made is not made again under its number, because nobody can tell what the attempt left behind. An
// enabling that cannot be proved is taken back, because nothing depends on it yet; a rotation waits for its members.
asio::awaitable<bool> RotationDriver::attempt(Action action, bool take_back) {
  const auto state = co_await load();
  if (!still_due(state, ids(), action)) co_return true;
  const bool creates = std::holds_alternative<action::CreateKek>(action);
  const bool ends =
      creates || (std::holds_alternative<action::ProveKek>(action) && state.phase == EncryptionPhase::Enabling);
  if (take_back) {
    co_await record(event::Abort{}, {});
    co_return true;
  }
  std::exception_ptr error;
  try {
    if (const auto* create = std::get_if<action::CreateKek>(&action)) co_await act(*create);
    if (const auto* prove = std::get_if<action::ProveKek>(&action)) co_await act(*prove);
    if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) co_await act(*rewrap);
    if (const auto* census = std::get_if<action::TakeCensus>(&action)) co_await act(*census);
    if (const auto* retire = std::get_if<action::RetireKek>(&action)) co_await act(*retire);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  if (!error) co_return true;
  if (!ends || stopped_) std::rethrow_exception(error);
  note_failure(action, error);
  co_return false;
}

asio::awaitable<void> RotationDriver::reconsider() {
  const Action census = action::TakeCensus{};
  const auto state = co_await load();
  if (under_way_.contains(census)) census_again_ = true;
  const auto executor = co_await asio::this_coro::executor;
  if (still_due(state, ids(), census)) start(executor, std::vector<Action>(1, census));
  wake();
}

// ---- failures and pauses ----

void RotationDriver::note_failure(const Action& action, std::exception_ptr error) {
  if (stopped_) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& cause) {
    last_failure_ = sentence(action) + ": " + cause.what();
  }
  if (std::exchange(failing_[action], last_failure_) != last_failure_ && options_.waiting)
    options_.waiting(last_failure_);
  last_error_ = error;
}

std::string RotationDriver::waiting_for() const {
  std::string all;
  for (const auto& [action, text] : failing_) all += (all.empty() ? "" : "; ") + text;
  return all;
}

asio::awaitable<void> RotationDriver::sleep(std::chrono::milliseconds time) {
  Sleeper sleeper{asio::steady_timer(co_await asio::this_coro::executor, time)};
  struct Registration {
    std::set<Sleeper*>& sleepers;
    Sleeper* sleeper;
    ~Registration() { sleepers.erase(sleeper); }
  } const registration{sleepers_, &sleeper};
  sleepers_.insert(&sleeper);
  co_await sleeper.alarm.async_wait(asio::as_tuple(asio::use_awaitable));
}

void RotationDriver::wake() {
  for (auto* sleeper : sleepers_) sleeper->alarm.expires_at(Clock::time_point::min());
}

}  // namespace volcrypt::cluster
