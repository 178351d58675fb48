// Fuzz target: any bytes as each of the messages of port 4007, and as an address.
#include "agent/peer/address.hpp"
#include "agent/peer/member_messages.hpp"
#include "agent/peer/messages.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

template <class Read>
void try_as(std::string_view text, Read read) {
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, read,
                   [](const auto& message) { return peer::to_json(message); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  try_as(text, peer::parse_hello);
  try_as(text, peer::parse_kek_offer);
  try_as(text, peer::parse_offer_answer);
  try_as(text, peer::parse_kek_delivery);
  try_as(text, peer::parse_proof_request);
  try_as(text, peer::parse_proof_answer);
  try_as(text, peer::parse_readiness_request);
  try_as(text, peer::parse_readiness);
  try_as(text, peer::parse_sentences);
  try_as(text, peer::parse_work_request);
  try_as(text, peer::parse_rewrap_answer);
  try_as(text, peer::parse_census);
  try_as(text, peer::parse_volume_question);
  try_as(text, peer::parse_volume_answer);
  fuzz::round_trip(text, {errc::invalid_argument}, peer::parse_address,
                   [](const peer::Address& address) { return peer::to_text(address); });
  return 0;
}
