// RotationDriver: stores what the rotation machine decides and does what it asks for, over all members, under the
// coordinator's lease, which it holds while there is something to do and gives back then. State first, then the act: a
// crash anywhere is followed by CoordinatorStarted, which repeats or burns. Actions run side by side; one that fails is
// tried again with growing pauses, until another node coordinates. Coroutines on the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/members.hpp"
#include "agent/cluster/rotation.hpp"
#include "agent/cluster/store.hpp"
#include "agent/runtime/clock.hpp"
#include "agent/runtime/turn.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

struct DriverOptions {
  std::chrono::milliseconds first_pause{5'000};
  std::chrono::milliseconds longest_pause{300'000};
  std::chrono::seconds lease_ttl{60};
  std::chrono::milliseconds lease_patience{5'000};  // a wish waits so long for a coordinator that is about to rest
  // Told on the loop; they must not throw. Empty: nobody listens.
  std::function<void(const EncryptionState& before, const EncryptionState& after)> changed = {};
  std::function<void(const std::string& cause)> waiting = {};  // once per cause, not once per attempt
  runtime::Clock* clock = &runtime::Clock::steady();           // outlives the driver
};

// errc::conflict, with the node that coordinates and what the operator can do.
class CoordinatedElsewhere final : public Error {
 public:
  using Error::Error;
};

class RotationDriver : public std::enable_shared_from_this<RotationDriver> {
 public:
  RotationDriver(Store& store, LocalPin& pin, std::shared_ptr<Members> members, DriverOptions options);
  ~RotationDriver();

  asio::awaitable<EncryptionState> load();  // the stored state; the default one before anything was stored

  // Takes the lease if nobody has it, and then resumes. False: another node coordinates.
  asio::awaitable<bool> coordinate();
  // The same, unless there is nothing to resume; and where this node coordinates, it looks whether there are other
  // members now. To be called again and again: the coordinator may have died.
  asio::awaitable<void> stand_by();
  // This node is no member any more: gives the lease back and tries nothing again.
  asio::awaitable<void> leave();
  // The node that holds the lease now, by name; empty: none does, so nothing is under way.
  asio::awaitable<std::string> coordinator();
  // Feeds a wish to the machine, stores the outcome and starts what is to be done. Throws errc::wrong_state when the
  // machine refuses, CoordinatedElsewhere, and what the store throws; errc::unknown_outcome is settled by looking.
  asio::awaitable<EncryptionState> apply(Event event);
  // A census now when the state is quiet; otherwise what failed is tried again at once.
  asio::awaitable<void> reconsider();
  // That member is up: what failed with it is tried again at once.
  void heard_of(const Uuid& member);

  void stop();  // nothing touches store or members any more

  std::string waiting_for() const;
  const std::string& last_failure() const { return last_failure_; }
  std::exception_ptr last_error() const { return last_error_; }

 private:
  using Self = std::shared_ptr<RotationDriver>;
  using Writes = std::vector<std::variant<Put, Delete>>;

  static asio::awaitable<void> perform(Self self, Action action);
  static asio::awaitable<void> keep_lease(Self self);

  asio::awaitable<bool> attempt(Action action, bool take_back);
  asio::awaitable<bool> is_overtaken(Action action);  // the state has moved on: it is not due any more
  asio::awaitable<void> act(action::CreateKek create);
  asio::awaitable<void> act(action::ProveKek prove);
  asio::awaitable<void> act(action::RewrapVolumes rewrap);
  asio::awaitable<void> act(action::TakeCensus);
  asio::awaitable<void> act(action::RetireKek retire);
  // Of the catalogued volumes whose owner is no member (any more): nobody else counts them.
  asio::awaitable<std::set<Generation>> needed_by_orphans();
  asio::awaitable<std::set<Generation>> perhaps_needed_by_orphans();

  asio::awaitable<bool> have_lease();                      // turn held; false: another node coordinates
  asio::awaitable<void> need_lease();                      // turn held; waits a moment, throws CoordinatedElsewhere
  asio::awaitable<void> give_back();                       // turn held
  asio::awaitable<void> follow_members();                  // turn and lease held
  asio::awaitable<void> rest();                            // gives the lease back when nothing is under way
  asio::awaitable<Step> commit(Event event, Writes also);  // turn and lease held
  asio::awaitable<bool> settle(Transaction transaction, const std::string& value);
  asio::awaitable<EncryptionState> record(Event event, Writes also);
  asio::awaitable<void> sleep(std::chrono::milliseconds time);
  void start(const boost::asio::any_io_executor& executor, const std::vector<Action>& actions);
  void note_failure(const Action& action, std::exception_ptr error);
  std::string sentence(const Action& action);
  void wake();
  Store& store();
  MemberPtr member(const Uuid& id);

  Store& store_;
  LocalPin& pin_;
  const std::shared_ptr<Members> members_;
  std::set<Uuid> counted_;  // the members over which the last event counted
  std::set<Uuid> asked_;    // those for which actions were started
  const DriverOptions options_;
  bool stopped_ = false;
  bool left_ = false;  // others do the work now; but a census of what this node alone knows is still to be taken
  runtime::Turn turn_;
  std::optional<Lease> lease_;
  runtime::Clock::Instant renewed_;
  bool keeping_lease_ = false;
  std::set<Action> under_way_;
  bool census_again_ = false;
  std::map<Action, std::string> failing_;
  std::string last_failure_;
  std::exception_ptr last_error_;
  std::vector<runtime::Clock::Alarm*> sleepers_;  // in the order in which they fell asleep
};

}  // namespace volcrypt::cluster
