// JSON of what nodes send each other about keys: a KEK on its way, a question to who wants to join. Strict, one
// spelling, in one format version each; byte strings are base64, 64-bit numbers are strings. No secret is in any of
// them: a transfer's inner key and a proof's secret go on their own, sealed. Values; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "agent/keys/join_proof.hpp"
#include "agent/keys/kek_store.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::keys {

inline constexpr std::size_t message_limit = 16 * 1024;  // bytes of each document; the largest has about 3000

// All but the inner key, which the parsed transfer lacks. errc::token_malformed, errc::token_version.
std::string to_json(const KekTransfer& transfer);
KekTransfer parse_kek_transfer(std::string_view json);
// The same members as an object inside another document.
boost::json::object object_of(const KekTransfer& transfer);
KekTransfer kek_transfer_of(const boost::json::object& object, const JsonDocument& document);

std::string to_json(const JoinChallenge& challenge);
JoinChallenge parse_join_challenge(std::string_view json);
std::string to_json(const JoinAnswer& answer);
JoinAnswer parse_join_answer(std::string_view json);

}  // namespace volcrypt::keys
