// What a store holds, and a change of it, as values; and the limits that every engine keeps. Pure. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace volcrypt::cluster {

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

}  // namespace volcrypt::cluster
