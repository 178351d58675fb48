// What rotation_driver.hpp promises, in two parts: the stored state, the actions that are under way. The lease under
// which it happens is in rotation_lease.cpp, what each action does, and the pauses, in rotation_actions.cpp.
#include "agent/cluster/rotation_driver.hpp"

#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/runtime/spawn.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

// A number of its own, which nobody has yet.
bool begins(const Event& event) {
  return std::holds_alternative<event::Rotate>(event) || std::holds_alternative<event::Enable>(event);
}

// The actions after it are for those who are members now, and for nobody who was before.
bool asks_anew(const Event& event) { return begins(event) || std::holds_alternative<event::CoordinatorStarted>(event); }

}  // namespace

RotationDriver::RotationDriver(Store& store, LocalPin& pin, std::shared_ptr<Members> members, DriverOptions options)
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

MemberPtr RotationDriver::member(const Uuid& id) {
  store();  // throws when stopped
  auto found = members_->find(id);
  if (!found) throw Error(errc::invalid_argument, {"find member", id.str(), "It is not in the membership any more."});
  return found;
}

// ---- the stored state ----

asio::awaitable<EncryptionState> RotationDriver::load() {
  const auto entry = co_await store().get(std::string(store_key::encryption));
  co_return entry ? parse_encryption_state(entry->value) : EncryptionState{};
}

asio::awaitable<EncryptionState> RotationDriver::apply(Event event) {
  EncryptionState state;
  std::exception_ptr refusal;
  try {
    state = co_await record(event, {});
  } catch (const std::exception&) {
    refusal = std::current_exception();
  }
  if (refusal) {
    co_await rest();  // a lease that was taken for nothing
    std::rethrow_exception(refusal);
  }
  if (begins(event)) {
    last_failure_.clear();
    last_error_ = nullptr;
  }
  if (std::holds_alternative<event::Abort>(event)) {
    last_failure_ = "it was aborted" + (last_failure_.empty() ? "" : "; before, " + last_failure_);
    wake();  // what waited for another attempt has nothing to wait for
  }
  co_await rest();
  co_return state;
}

asio::awaitable<EncryptionState> RotationDriver::record(Event event, Writes also) {
  const auto turn = co_await turn_.take();
  co_await need_lease();
  auto step = co_await commit(std::move(event), std::move(also));
  const auto executor = co_await asio::this_coro::executor;
  start(executor, step.actions);
  try {
    co_await follow_members();  // before anybody thinks that nothing is under way
  } catch (const Error&) {      // the event stands; the next step looks again
  }
  co_return std::move(step.state);
}

// A KEK that is still being made is brought to all who are members when it is there.
asio::awaitable<void> RotationDriver::follow_members() {
  store();  // throws when stopped
  co_await members_->reload();
  const auto state = co_await load();
  const auto now = members_->ids();
  if (asked_ == now || under_way_.contains(action::CreateKek{state.distributing})) co_return;
  const auto step = co_await commit(event::MembersChanged{}, {});
  asked_ = counted_;
  const auto executor = co_await asio::this_coro::executor;
  start(executor, step.actions);
  wake();  // what waits for a member that is gone has nothing to wait for
}

asio::awaitable<Step> RotationDriver::commit(Event event, Writes also) {
  constexpr int attempts = 5;
  bool in_doubt = false;
  std::exception_ptr failure;
  try {
    for (int i = 0; i < attempts && lease_; ++i) {
      store();  // throws when stopped
      co_await members_->reload();
      const auto entry = co_await store().get(std::string(store_key::encryption));
      const auto before = entry ? parse_encryption_state(entry->value) : EncryptionState{};
      const auto pinned = co_await pin_.read();
      if (pinned && before.highest_used < pinned->highest_used)
        throw Error(errc::too_old,
                    {"use the store", "whose highest KEK generation is " + std::to_string(before.highest_used),
                     "Generation " + std::to_string(pinned->highest_used) +
                         " was seen already: an old copy was restored. Restore the newest one."});
      counted_ = members_->ids();
      const auto counted_at = members_->revision();  // other members may be loaded before the transaction is made
      // What is being distributed may be in the hands of a member that was removed: another one is made.
      const bool is_lost = before.distributing != 0 && !std::ranges::includes(counted_, asked_);
      if (is_lost && !std::holds_alternative<event::Abort>(event)) {
        event = event::CoordinatorStarted{};
        also.clear();
      }
      const auto step = advance(before, counted_, event);
      if (!step) {
        throw Error(errc::wrong_state, {"change", "the cluster's encryption state",
                                        "It is " + std::string(spelling(before.phase)) + " and " +
                                            std::string(spelling(before.rotation)) + " now."});
      }
      const auto fence = co_await store().get(lease_->fence.key);
      if (!fence || fence->modified != lease_->fence.modified) {
        lease_.reset();
        break;
      }
      if (step->state == before && also.empty()) {
        if (asks_anew(event)) asked_ = counted_;
        co_return *step;
      }
      const auto value = to_json(step->state);
      Transaction transaction;
      transaction.when.push_back(lease_->fence);
      transaction.when.push_back({std::string(store_key::membership), counted_at});
      transaction.when.push_back({std::string(store_key::encryption), entry ? entry->modified : 0});
      transaction.then.emplace_back(Put{std::string(store_key::encryption), value});
      transaction.then.insert(transaction.then.end(), also.begin(), also.end());
      in_doubt = true;  // until it is known to stand: it may also come late
      if (co_await settle(std::move(transaction), value)) {
        if (asks_anew(event)) asked_ = counted_;
        if (options_.changed) options_.changed(before, step->state);
        co_return *step;
      }
    }
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (in_doubt) co_await give_back();  // whoever takes the lease next does what the state asks for
  if (failure) std::rethrow_exception(failure);
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

// ---- the actions ----

void RotationDriver::start(const asio::any_io_executor& executor, const std::vector<Action>& actions) {
  for (const auto& action : actions) {
    if (const auto* prove = std::get_if<action::ProveKek>(&action)) asked_.insert(prove->member);
    if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) asked_.insert(rewrap->member);
    if (!under_way_.insert(action).second) {
      if (std::holds_alternative<action::TakeCensus>(action)) census_again_ = true;  // the one under way began before
      continue;
    }
    runtime::spawn(executor, "rotation", perform(shared_from_this(), action));
  }
  if (!under_way_.empty() && !std::exchange(keeping_lease_, true)) {
    runtime::spawn(executor, "coordinator's lease", keep_lease(shared_from_this()));
  }
}

// Until the action has succeeded, or the state has moved on and nobody needs it.
asio::awaitable<void> RotationDriver::perform(Self self, Action action) {
  bool take_back = false;
  const bool is_census = std::holds_alternative<action::TakeCensus>(action);
  for (auto pause = self->options_.first_pause; !self->stopped_ && (is_census || !self->left_);
       pause = std::min(2 * pause, self->options_.longest_pause)) {
    std::exception_ptr error;
    try {
      if (co_await self->attempt(action, take_back)) break;
      if (std::exchange(take_back, true)) break;
      continue;
    } catch (const NotAMember&) {
      break;
    } catch (const CoordinatedElsewhere&) {
      // That node repeats it; but its census may have been taken before what this one knows of.
      if (!is_census) break;
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    // What fails after an abort is no news: the abort is the last thing that happened.
    if (co_await self->is_overtaken(action)) break;
    if (error) self->note_failure(action, error);
    if (!self->stopped_) co_await self->sleep(pause);
  }
  self->failing_.erase(action);
  self->under_way_.erase(action);
  const bool again = is_census && std::exchange(self->census_again_, false);
  if (again && !self->stopped_) {
    const auto executor = co_await asio::this_coro::executor;
    self->start(executor, std::vector<Action>(1, action));
  }
  if (!self->under_way_.empty() || self->stopped_) co_return;
  self->wake();  // the lease need not be kept
  co_await self->rest();
}

asio::awaitable<bool> RotationDriver::is_overtaken(Action action) {
  try {
    const auto state = co_await load();
    co_return !still_due(state, members_->ids(), action);
  } catch (const boost::system::system_error&) {
    co_return false;  // nobody knows: the failure counts
  }
}

// False: the action failed in a way that ends the enabling or the rotation; `take_back` then burns the number. A KEK
// that could not be made is not made again under its number, because nobody can tell what the attempt left behind. An
// enabling that cannot be proved is taken back, because nothing depends on it yet; a rotation waits for its members.
asio::awaitable<bool> RotationDriver::attempt(Action action, bool take_back) {
  const auto state = co_await load();
  if (!still_due(state, members_->ids(), action)) co_return true;
  const bool creates = std::holds_alternative<action::CreateKek>(action);
  const bool ends =
      creates || (std::holds_alternative<action::ProveKek>(action) && state.phase == EncryptionPhase::Enabling);
  if (take_back) {
    const auto* create = std::get_if<action::CreateKek>(&action);
    const auto* prove = std::get_if<action::ProveKek>(&action);
    co_await record(event::Abort{create ? create->generation : prove ? prove->generation : 0}, {});
    co_return true;
  }
  std::exception_ptr error;
  bool is_ours = true;
  try {
    if (const auto* create = std::get_if<action::CreateKek>(&action)) co_await act(*create);
    if (const auto* prove = std::get_if<action::ProveKek>(&action)) co_await act(*prove);
    if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) co_await act(*rewrap);
    if (const auto* census = std::get_if<action::TakeCensus>(&action)) co_await act(*census);
    if (const auto* retire = std::get_if<action::RetireKek>(&action)) co_await act(*retire);
  } catch (const CoordinatedElsewhere&) {
    error = std::current_exception();
    is_ours = false;
  } catch (const NotAMember&) {
    error = std::current_exception();
    is_ours = false;
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  if (!error) co_return true;
  if (!ends || stopped_ || !is_ours) std::rethrow_exception(error);
  note_failure(action, error);
  co_return false;
}

asio::awaitable<void> RotationDriver::reconsider() {
  const Action census = action::TakeCensus{};
  const auto state = co_await load();
  if (under_way_.contains(census)) census_again_ = true;
  const auto executor = co_await asio::this_coro::executor;
  if (still_due(state, members_->ids(), census)) start(executor, std::vector<Action>(1, census));
  wake();
}

}  // namespace volcrypt::cluster
