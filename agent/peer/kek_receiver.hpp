// KekReceiver: this node's end of a KEK's way from another member: offered, delivered, proved. It takes what the
// cluster's store knows of and what was born in a member's TPM, and keeps nothing but the key's blob. Coroutines on the
// loop; all parts outlive it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <optional>

#include "agent/keys/node_keys.hpp"
#include "agent/keys/p256.hpp"
#include "agent/peer/messages.hpp"
#include "agent/peer/roster.hpp"

namespace volcrypt::peer {

namespace asio = boost::asio;

class KekReceiver {
 public:
  // The cluster's record of a generation that its volumes need, or will; empty when there is none. Throws when the
  // store does not answer.
  using Records = std::function<asio::awaitable<std::optional<keys::KekRecord>>(keys::Generation)>;

  KekReceiver(keys::NodeKeys& keys, Records records) : keys_(keys), records_(std::move(records)) {}

  // errc::wrong_generation when the store has no such record. The parcel key stays in memory for one delivery by the
  // same member, for a minute.
  asio::awaitable<OfferAnswer> offered(KekOffer offer, Uuid from);
  // As KekStore::import; errc::wrong_state when nothing of the kind was offered by this member within the last minute,
  // errc::wrong_key for a parcel that was sealed for something else. Said again after a success, it has to be offered
  // again.
  asio::awaitable<void> delivered(KekDelivery delivery, Uuid from, CurrentRoster roster);
  // As KekStore::prove, against the store's record.
  asio::awaitable<ProofAnswer> asked(ProofRequest request);

 private:
  struct Parcel {
    keys::Generation generation = 0;
    Uuid from;
    keys::P256Pair key;
    std::chrono::steady_clock::time_point until;
  };

  // The keyring that the cluster's choice, or the record before there is one, says.
  keys::Keyring& keyring_for(const keys::KekRecord& record);
  asio::awaitable<void> check_recorded(keys::KekRecord record);
  void forget_old_parcels();

  keys::NodeKeys& keys_;
  Records records_;
  std::list<Parcel> parcels_;  // oldest first
};

// What an inner key is sealed for. The record's Name stands for the KEK.
Bytes parcel_context(const Uuid& from, const keys::KekRecord& record);

}  // namespace volcrypt::peer
