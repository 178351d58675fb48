// Roster: the members of one membership document, found by the key that they prove on port 4007. A value that never
// changes; a newer document is a new Roster. Any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "agent/cluster/membership.hpp"
#include "agent/http/tls_client.hpp"

namespace volcrypt::peer {

class Roster {
 public:
  // The document was opened against the pin before. Its addresses are read when they are needed: reach().
  explicit Roster(cluster::Membership membership);

  const cluster::Membership& membership() const noexcept { return membership_; }
  const cluster::MemberEntry* by_key(const http::Fingerprint& key) const;  // null: a stranger
  const cluster::MemberEntry* by_node(const Uuid& node) const;
  // How to reach a member. errc::wrong_state without address or key; errc::invalid_argument: see parse_address.
  http::TlsPeer reach(const cluster::MemberEntry& member) const;
  std::vector<Bytes> attestation_keys() const;  // of all members that have one

 private:
  cluster::Membership membership_;
  std::map<http::Fingerprint, std::size_t> by_key_;
};

using CurrentRoster = std::shared_ptr<const Roster>;

}  // namespace volcrypt::peer
