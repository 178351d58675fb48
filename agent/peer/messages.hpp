// What nodes say to each other on port 4007, as values and as JSON: strict, one spelling, in one format version each
// (errc::token_malformed, errc::token_version). Nothing secret is in clear in any of them. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::peer {

struct Hello {  // GET /v1/hello
  std::string version;
  Uuid cluster;
  Uuid node;
  std::uint64_t membership_version = 0;
};

// "I could send you this one": POST /v1/keks/offers. What the answer has in it is for this offer only.
struct KekOffer {
  keys::KekRecord record;
};
struct OfferAnswer {
  Bytes parcel_key;  // P-256 point (65 bytes) to which the inner key is to be sealed; empty: the KEK is held already
};

struct KekDelivery {           // POST /v1/keks
  keys::KekTransfer transfer;  // its inner key is not here
  Bytes parcel;                // but in this box to the parcel key; software mode: empty
};

struct ProofRequest {  // POST /v1/keks/proofs
  keys::KekRecord record;
  Digest nonce{};
};
struct ProofAnswer {
  Digest proof{};
};

std::string to_json(const Hello& hello);
Hello parse_hello(std::string_view json);
std::string to_json(const KekOffer& offer);
KekOffer parse_kek_offer(std::string_view json);
std::string to_json(const OfferAnswer& answer);
OfferAnswer parse_offer_answer(std::string_view json);
std::string to_json(const KekDelivery& delivery);
KekDelivery parse_kek_delivery(std::string_view json);
std::string to_json(const ProofRequest& request);
ProofRequest parse_proof_request(std::string_view json);
std::string to_json(const ProofAnswer& answer);
ProofAnswer parse_proof_answer(std::string_view json);

}  // namespace volcrypt::peer
