// What the routes ask about nodes that are to become members: at a member, tokens, who waits and the authority's
// question; at a newcomer, the request to join. The agent implements it. Coroutines on the loop; nothing secret passes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "agent/cluster/admission.hpp"

namespace volcrypt::control {

namespace asio = boost::asio;

struct TokenRequest {
  Uuid id;
  Bytes point;             // of the key that stays with whoever asked
  std::uint64_t life = 0;  // seconds
};
struct TokenPlace {  // what else the token's file says, and where its bearer asks
  Uuid cluster;
  std::string cluster_name;
  Bytes authority_public, member_key;
  std::uint64_t expires = 0;
  std::vector<std::string> addresses;
};

struct JoinOrder {
  std::string address;  // of the member that takes the request
  Bytes member_key;     // fingerprint of its TLS key
  Uuid cluster;
  cluster::JoinRequest request;
};

class Admissions {
 public:
  virtual ~Admissions() = default;

  // At a member. errc::wrong_state, with the way out, where no node could join: an embedded store, no address on port
  // 4007.
  virtual asio::awaitable<TokenPlace> add_token(TokenRequest request) = 0;
  virtual asio::awaitable<std::vector<cluster::PendingNode>> pending() = 0;
  // Puts the authority's question to a node that waits; it answers within seconds, in pending(). errc::wrong_state when
  // none of this id waits, as for reject().
  virtual asio::awaitable<void> ask(Uuid node, cluster::AdmissionQuestion question) = 0;
  virtual asio::awaitable<void> reject(Uuid node) = 0;

  // At a newcomer that has made its keys (Services::enrol) and chosen the cluster's store. Returns when the member has
  // taken the request. errc::wrong_state with the way out, peer_refused with the member's words.
  virtual asio::awaitable<void> join(JoinOrder order) = 0;
};

}  // namespace volcrypt::control
