// What is said to etcd's JSON gateway and what it answers, as values. etcd's field names; 64-bit numbers are strings
// and members that would be zero or empty are left out (proto3 in JSON). Unknown members are passed over: a newer etcd
// has more of them. Pure. Any thread. Source: etcd 3.4's rpc.proto and its API reference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/transaction.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster::etcd {

using LeaseId = std::int64_t;  // 0: none

// What an answer that cannot be read throws.
inline constexpr errc unreadable = errc::store_damaged;

struct KeyRange {  // from `first` up to, not with, `end`; an empty end: the one key
  std::string first, end = {};
};
KeyRange all_with(const std::string& prefix);  // not empty

struct RangeRequest {
  KeyRange keys;
  Revision at = 0;  // as it was then; 0: now
  std::uint64_t limit = 0;
};
std::string to_json(const RangeRequest& request);

// `prefix` goes before each key; the values of a Put are held by `lease`.
std::string to_json(const Transaction& transaction, const std::string& prefix, LeaseId lease = 0);
std::string watch_request(const KeyRange& keys, Revision from);
std::string grant_request(std::int64_t seconds);
std::string lease_request(LeaseId lease);  // of keepalive and revoke

struct Found {
  Entry entry;
  LeaseId lease = 0;
};
struct RangeAnswer {
  Revision now = 0;  // of the store
  std::vector<Found> found;
  bool more = false;
};
struct TxnAnswer {
  Revision now = 0;
  bool succeeded = false;
};
struct WatchAnswer {
  Revision now = 0;
  bool created = false, has_events = false, cancelled = false;
  Revision compacted = 0;  // when cancelled because what was asked for is gone
  std::string reason;
};

// Each throws Error(errc::store_damaged) when the text is not such an answer. Keys come without `prefix`; one that has
// another is such an error.
RangeAnswer parse_range(std::string_view text, const std::string& prefix);
TxnAnswer parse_txn(std::string_view text);
WatchAnswer parse_watch(std::string_view line);
LeaseId parse_grant(std::string_view text);
std::int64_t parse_keepalive(std::string_view line);  // seconds; 0: the lease is gone

// Why etcd refused: a gRPC status code and etcd's text.
struct Refusal {
  int code = 0;
  std::string text;
};
Refusal parse_refusal(std::string_view text);  // code 0 with the beginning of the text when it is something else

}  // namespace volcrypt::cluster::etcd
