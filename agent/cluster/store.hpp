// Store: the cluster's shared state as versioned keys: compare-and-set transactions, watch, lease. Trusted for order
// and durability, never for authenticity or secrecy. One conformance suite for every engine. Coroutines on the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/transaction.hpp"

namespace volcrypt::cluster {

namespace asio = boost::asio;

// The fencing token of a lease: put `fence` among the Compares of every write that needs the lease.
struct Lease {
  std::string name;
  Compare fence;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual asio::awaitable<std::optional<Entry>> get(std::string key) = 0;
  virtual asio::awaitable<std::vector<Entry>> list(std::string prefix) = 0;  // sorted by key
  // errc::conflict as a result when a Compare fails; throws Error when the store itself broke (then the outcome is
  // errc::unknown_outcome or certainly nothing was written, as the code says).
  virtual asio::awaitable<boost::system::result<Revision>> commit(Transaction transaction) = 0;
  // Waits for a change of `prefix` after `seen`; returns the store's revision then.
  virtual asio::awaitable<Revision> changed(std::string prefix, Revision seen) = 0;
  // errc::conflict as a result while another holder's lease lives. The same holder gets it at once, with a new fence.
  virtual asio::awaitable<boost::system::result<Lease>> acquire(std::string name, std::string holder,
                                                                std::chrono::seconds ttl) = 0;
  virtual asio::awaitable<void> renew(const Lease& lease) = 0;  // throws errc::conflict when it was lost
  virtual asio::awaitable<void> release(Lease lease) = 0;
};

}  // namespace volcrypt::cluster
