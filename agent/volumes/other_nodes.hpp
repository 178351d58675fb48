// OtherNodes: what this node's volumes ask of the rest of the cluster: who is a member, and whether another node has a
// volume. agent.cpp gives it (port 4007); without it a node is alone. Coroutines on the loop; each call has a deadline.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>

#include "agent/cluster/store.hpp"
#include "agent/volumes/holding.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

struct MembersNow {
  std::map<Uuid, std::string> names;
  cluster::Revision revision = 0;  // of the membership document, for transactions that depend on it
};

class OtherNodes {
 public:
  virtual ~OtherNodes() = default;
  // By the newest document that this node has adopted; empty: none of its members.
  virtual std::string name_of(const Uuid& node) const = 0;
  // As the store has them now. Throws where it does not answer, or has a document that this node has not adopted:
  // this node may be no member any more.
  virtual asio::awaitable<MembersNow> members() = 0;
  // From a fresh look there. Throws where the node does not answer, or cannot tell.
  virtual asio::awaitable<Holding> ask(Uuid node, Uuid volume) = 0;
};

}  // namespace volcrypt::volumes
