// RotationDriver: holds the coordinator's lease, stores what the rotation machine decides and does what it asks for,
// over any number of members. State first, then the act: a crash anywhere is followed by CoordinatorStarted, which
// repeats or burns. Actions run side by side; one that fails is tried again with growing pauses. Coroutines on the
// loop.
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
#include "agent/cluster/member.hpp"
#include "agent/cluster/rotation.hpp"
#include "agent/cluster/store.hpp"
#include "agent/runtime/turn.hpp"

namespace volcrypt::cluster {

struct DriverOptions {
  std::chrono::milliseconds first_pause{5'000};
  std::chrono::milliseconds longest_pause{300'000};
  std::chrono::seconds lease_ttl{60};
  // Told on the loop; they must not throw. Empty: nobody listens.
  std::function<void(const EncryptionState& before, const EncryptionState& after)> changed = {};
  std::function<void(const std::string& cause)> waiting = {};  // once per cause, not once per attempt
};

class RotationDriver : public std::enable_shared_from_this<RotationDriver> {
 public:
  // The first member is this node.
  RotationDriver(Store& store, LocalPin& pin, std::vector<Member*> members, DriverOptions options);
  ~RotationDriver();

  asio::awaitable<EncryptionState> load();  // the stored state; the default one before anything was stored

  // Takes the lease if it is not held, and then resumes. Throws errc::conflict while another node coordinates.
  asio::awaitable<void> coordinate();
  // Feeds a wish to the machine, stores the outcome and starts what is to be done. Throws errc::wrong_state when the
  // machine refuses, and what the store throws; errc::unknown_outcome is settled by looking.
  asio::awaitable<EncryptionState> apply(Event event);
  // A census now when the state is quiet; otherwise what failed is tried again at once.
  asio::awaitable<void> reconsider();

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

  asio::awaitable<void> ensure_lease();                    // turn held
  asio::awaitable<Step> commit(Event event, Writes also);  // turn and lease held
  asio::awaitable<bool> settle(Transaction transaction, const std::string& value);
  asio::awaitable<EncryptionState> record(Event event, Writes also);
  asio::awaitable<void> sleep(std::chrono::milliseconds time);
  void start(const boost::asio::any_io_executor& executor, const std::vector<Action>& actions);
  void note_failure(const Action& action, std::exception_ptr error);
  std::string sentence(const Action& action);
  void wake();
  Store& store();
  Member& member(const Uuid& id);
  std::set<Uuid> ids() const;

  Store& store_;
  LocalPin& pin_;
  const std::vector<Member*> members_;
  const DriverOptions options_;
  bool stopped_ = false;
  runtime::Turn turn_;
  std::optional<Lease> lease_;
  std::chrono::steady_clock::time_point renewed_;
  bool keeping_lease_ = false;
  std::set<Action> under_way_;
  bool census_again_ = false;
  std::map<Action, std::string> failing_;
  std::string last_failure_;
  std::exception_ptr last_error_;
  struct Sleeper;
  std::set<Sleeper*> sleepers_;
};

}  // namespace volcrypt::cluster
