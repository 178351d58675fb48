// Client: what this node asks of one other member on port 4007. Every answer is hostile until parsed, and a refusal is
// Error(errc::peer_refused) with what the other node said, made printable. Coroutines on the loop.
#pragma once

#include <chrono>

#include "agent/cluster/admission.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/http/tls_client.hpp"
#include "agent/keys/keyring.hpp"
#include "agent/peer/member_messages.hpp"
#include "agent/peer/messages.hpp"

namespace volcrypt::peer {

namespace asio = boost::asio;

class Client {
 public:
  // `keys_deadline` is for requests that make the other node's TPM work.
  Client(http::TlsIdentity identity, http::TlsPeer peer, std::chrono::milliseconds deadline = std::chrono::seconds(10),
         std::chrono::milliseconds keys_deadline = std::chrono::seconds(150))
      : identity_(std::move(identity)), peer_(std::move(peer)), deadline_(deadline), keys_deadline_(keys_deadline) {}

  const std::string& name() const noexcept { return peer_.name; }
  // Throws as http::ask(): errno, errc::timed_out, errc::peer_refused; errc::token_malformed for an answer that is
  // none.
  asio::awaitable<Hello> hello() const;
  asio::awaitable<OfferAnswer> offer(KekOffer offer) const;
  asio::awaitable<void> deliver(KekDelivery delivery) const;
  asio::awaitable<ProofAnswer> prove(ProofRequest request) const;
  asio::awaitable<Sentences> warnings() const;
  asio::awaitable<void> adopt(cluster::SignedMembership membership) const;
  asio::awaitable<cluster::MemberReadiness> readiness(keys::Protection protection) const;
  asio::awaitable<RewrapAnswer> rewrap(Generation to) const;  // returns after a while, finished or not
  asio::awaitable<RewrapAnswer> rewrap_progress() const;
  asio::awaitable<Census> census() const;
  asio::awaitable<void> retire(Generation generation) const;
  asio::awaitable<void> want(Generation generation) const;  // that member brings it to this node, and has it proved
  asio::awaitable<volumes::Holding> holds(Uuid volume) const;
  asio::awaitable<void> join(cluster::JoinRequest request) const;

 private:
  asio::awaitable<std::string> ask(http::TlsRequest request) const;
  asio::awaitable<std::string> look(std::string target) const;
  asio::awaitable<std::string> tell(std::string target, std::string body) const;

  http::TlsIdentity identity_;
  http::TlsPeer peer_;
  std::chrono::milliseconds deadline_, keys_deadline_;
};

// The sender of a KEK and the member that is to have it.
struct KekPassage {
  keys::KekRecord record;
  Uuid from;      // this node
  keys::Peer to;  // from the membership document
};

// Brings a KEK that this node holds to a member, and has it proved there from its stored blob with a fresh nonce: when
// it returns, the member counts for this generation. Idempotent: what is held there is not sent again, but proved
// again. errc::impostor_kek when the proofs differ; the member's files are then its own to mend.
asio::awaitable<void> bring_kek(keys::Keyring& ours, const Client& member, KekPassage passage);

}  // namespace volcrypt::peer
