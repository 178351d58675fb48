// The limits that every engine keeps, see transaction.hpp.
#include "agent/cluster/transaction.hpp"

#include <algorithm>
#include <set>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

constexpr std::size_t max_key_bytes = 512;

void check_key(const std::string& key) {
  const auto printable = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
  if (!key.empty() && key.size() <= max_key_bytes && std::all_of(key.begin(), key.end(), printable)) return;
  throw Error(errc::invalid_argument, {"use the store's key", volcrypt::quoted(key),
                                       "It must have 1 to 512 printable ASCII characters without blanks."});
}

void check_written(const std::string& key, std::set<std::string>& seen) {
  check_key(key);
  if (key.starts_with(store_key::leases)) {
    throw Error(errc::invalid_argument,
                {"write the store's key", volcrypt::quoted(key), "Leases are acquired and released."});
  }
  if (!seen.insert(key).second) {
    throw Error(errc::invalid_argument,
                {"write the store's key", volcrypt::quoted(key), "It stands twice in one transaction."});
  }
}

}  // namespace

void check_limits(const Transaction& transaction) {
  const auto operations = std::max(transaction.when.size(), transaction.then.size());
  if (operations > max_transaction_operations) {
    throw Error(errc::limit_exceeded, {"commit to the store", std::to_string(operations) + " operations",
                                       "At most " + std::to_string(max_transaction_operations) + " are allowed."});
  }
  std::set<std::string> seen;
  std::size_t bytes = 0;
  for (const auto& compare : transaction.when) check_key(compare.key);
  for (const auto& operation : transaction.then) {
    if (const auto* gone = std::get_if<Delete>(&operation)) check_written(gone->key, seen);
    const auto* put = std::get_if<Put>(&operation);
    if (put == nullptr) continue;
    check_written(put->key, seen);
    bytes += put->value.size();
  }
  if (bytes > max_value_bytes) {
    throw Error(errc::limit_exceeded,
                {"commit to the store", std::to_string(bytes) + " bytes",
                 "At most " + std::to_string(max_value_bytes) + " are allowed in one transaction."});
  }
}

}  // namespace volcrypt::cluster
