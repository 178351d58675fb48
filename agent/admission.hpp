// Admission: how a node becomes a member, at both ends. The cluster's store is where they meet: a member takes the
// request on port 4007 and writes it there, the authority's question and the newcomer's answer follow, and the signed
// document is what the newcomer waits for. Coroutines on the loop; all parts outlive it.
#pragma once

#include <filesystem>
#include <functional>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/store.hpp"
#include "agent/control/admissions.hpp"
#include "agent/http/tls.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/node_file.hpp"
#include "agent/peer_port.hpp"

namespace volcrypt {

class Admission final : public control::Admissions {
 public:
  struct Parts {
    cluster::Store& store;
    cluster::LocalPin& pin;
    keys::NodeKeys& keys;
    NodeFile& node_file;
    runtime::Worker& files;
    std::filesystem::path request_file;  // what this node said of itself: it vouches for nothing else
    PeerPort& port;
    std::function<bool()> is_store_shared;  // in an etcd
    std::function<void()> joining;          // called when a member has taken this node's request
  };

  explicit Admission(Parts parts) : parts_(std::move(parts)) {}

  asio::awaitable<control::TokenPlace> add_token(control::TokenRequest request) override;
  asio::awaitable<std::vector<cluster::PendingNode>> pending() override;
  asio::awaitable<void> ask(Uuid node, cluster::AdmissionQuestion question) override;
  asio::awaitable<void> reject(Uuid node) override;
  asio::awaitable<void> join(control::JoinOrder order) override;

  // Port 4007, from a stranger that proved this key. errc::peer_refused, in the same words whatever is wrong with the
  // token. The token is used up when it returns; the same request again is a no-op.
  asio::awaitable<void> requested(cluster::JoinRequest request, http::Fingerprint key);
  // At a newcomer: answers the authority's question, if there is a new one. False: this node does not wait (any more).
  asio::awaitable<bool> answer_question();
  // Throws errc::wrong_state, with the command that helps, when the members could not share this node's store.
  void require_shared_store(std::size_t members) const;
  // Who is a member now does not wait any more.
  asio::awaitable<void> settle(cluster::Membership membership);

 private:
  asio::awaitable<cluster::Membership> membership();
  asio::awaitable<bool> is_admitted(keys::IdentityRequest identity);
  asio::awaitable<void> keep_request(cluster::JoinRequest request);
  asio::awaitable<cluster::JoinRequest> kept_request();
  asio::awaitable<cluster::AdmissionAnswer> answer_to(cluster::AdmissionQuestion question, Digest request);
  asio::awaitable<std::vector<cluster::Entry>> waiting();

  Parts parts_;
};

}  // namespace volcrypt
