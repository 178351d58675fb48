// Store: the cluster's shared state as versioned keys: compare-and-set transactions, watch, lease. Trusted for order
// and durability, never for authenticity or secrecy. One conformance suite for every engine. Coroutines on the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace volcrypt::cluster {

namespace asio = boost::asio;
using Revision = std::uint64_t;  // of the whole store, grows with each transaction; 0 means "does not exist"

inline constexpr std::size_t max_value_bytes = 1024 * 1024;  // etcd's request limit is 1.5 MB
inline constexpr std::size_t max_transaction_operations = 128;

struct Entry {
  std::string key;
  std::string value;
  Revision modified = 0;  // revision of the transaction that wrote it last
};

struct Compare {
  std::string key;
  Revision modified;
};  // equal, 0: must not exist
struct Put {
  std::string key;
  std::string value;
};
struct Delete {
  std::string key;
};

struct Transaction {
  std::vector<Compare> when;                    // all must hold
  std::vector<std::variant<Put, Delete>> then;  // all or nothing, durable when commit returns
};

// What every engine refuses before it does anything: errc::limit_exceeded for sizes, errc::invalid_argument for a key
// that is not 1 to 512 printable ASCII characters, that stands twice in `then`, or that belongs to the engine
// ("lease/").
void check_limits(const Transaction& transaction);

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
