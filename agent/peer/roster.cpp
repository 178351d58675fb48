// See roster.hpp.
#include "agent/peer/roster.hpp"

#include <algorithm>

#include "agent/peer/address.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

http::Fingerprint fingerprint_of(const cluster::MemberEntry& member) {
  http::Fingerprint key{};
  std::ranges::copy(member.tls_fingerprint, key.begin());  // 32 bytes, or the document had been refused
  return key;
}

}  // namespace

Roster::Roster(cluster::Membership membership) : membership_(std::move(membership)) {
  for (std::size_t i = 0; i < membership_.members.size(); ++i) {
    const cluster::MemberEntry& member = membership_.members[i];
    if (!member.tls_fingerprint.empty()) by_key_.emplace(fingerprint_of(member), i);
  }
}

const cluster::MemberEntry* Roster::by_key(const http::Fingerprint& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &membership_.members[found->second];
}

const cluster::MemberEntry* Roster::by_node(const Uuid& node) const {
  const auto found = std::ranges::find(membership_.members, node, &cluster::MemberEntry::node);
  return found == membership_.members.end() ? nullptr : &*found;
}

http::TlsPeer Roster::reach(const cluster::MemberEntry& member) const {
  if (member.addresses.empty() || member.tls_fingerprint.empty())
    throw Error(errc::wrong_state, {"reach the node", quoted(member.name),
                                    "The membership document has no address of it: it was made for one server alone."});
  http::TlsPeer peer{.name = member.name, .addresses = {}, .key = fingerprint_of(member)};
  for (const std::string& address : member.addresses) peer.addresses.push_back(parse_address(address));
  return peer;
}

std::vector<Bytes> Roster::attestation_keys() const {
  std::vector<Bytes> keys;
  for (const cluster::MemberEntry& member : membership_.members)
    if (!member.tpm.attestation_key.empty()) keys.push_back(member.tpm.attestation_key);
  return keys;
}

}  // namespace volcrypt::peer
