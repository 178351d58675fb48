// Spelling, parsing and authenticated bytes of the token, see token.hpp. In version 1 the document is
//   {"type":"volcrypt","keyslots":[],"version":1,"cluster":UUID,"group":UUID,"volume":UUID,"name":NAME,
//    "generation":"G","algorithm":"hkdf-sha256+aes-256-gcm","nonce":BASE64,"wrapped_dek":BASE64,"description":{...}}
// "type" and "keyslots" are demanded by LUKS2; 64-bit numbers are strings, as in LUKS2 on-disk specification 1.1.
#include "dmtarget/token.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::dm {
namespace {

namespace json = boost::json;

constexpr std::string_view algorithm = "hkdf-sha256+aes-256-gcm";

const JsonDocument& document() {
  static const JsonDocument token{"the volcrypt token", token_json_limit, 4, errc::token_malformed};
  return token;
}

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

std::string_view spelling(Discards discards) { return discards == Discards::refused ? "refused" : "passed_down"; }
std::string_view spelling(Workqueues workqueues) { return workqueues == Workqueues::used ? "used" : "bypassed"; }

Discards read_discards(MemberReader& members) {
  std::string_view text = members.text("discards");
  if (text == spelling(Discards::refused)) return Discards::refused;
  if (text == spelling(Discards::passed_down)) return Discards::passed_down;
  members.refuse("discards", R"(It must be "refused" or "passed_down".)");
}

Workqueues read_workqueues(MemberReader& members) {
  std::string_view text = members.text("workqueues");
  if (text == spelling(Workqueues::used)) return Workqueues::used;
  if (text == spelling(Workqueues::bypassed)) return Workqueues::bypassed;
  members.refuse("workqueues", R"(It must be "used" or "bypassed".)");
}

// Which cipher, key size and offset are good for this volume is decided when the header is compared (luks.hpp).
Description read_description(const json::object& object) {
  MemberReader members(object, document());
  Description description;
  description.cipher = members.text("cipher");
  description.key_bytes = members.number32("key_bytes");
  description.sector_size = members.number32("sector_size");
  description.data_offset = members.decimal_string("data_offset");
  description.discards = read_discards(members);
  description.workqueues = read_workqueues(members);
  description.reencrypting = members.flag("reencrypting");
  members.finish();

  bool plain = std::all_of(description.cipher.begin(), description.cipher.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
  });
  if (description.cipher.empty() || !plain) members.refuse("cipher", "It must be of a-z, 0-9, '-' and ':'.");
  if (description.sector_size != 512 && description.sector_size != 4096) {
    members.refuse("sector_size", "It must be 512 or 4096.");
  }
  return description;
}

json::object render(const Description& description) {
  json::object object;
  object["cipher"] = description.cipher;
  object["key_bytes"] = description.key_bytes;
  object["sector_size"] = description.sector_size;
  object["data_offset"] = std::to_string(description.data_offset);
  object["discards"] = view(spelling(description.discards));
  object["workqueues"] = view(spelling(description.workqueues));
  object["reencrypting"] = description.reencrypting;
  return object;
}

std::string read_name(MemberReader& members) {
  std::string name(members.text("name"));
  try {
    check_volume_name(name);
  } catch (const Error& error) {
    members.refuse("name", error.way_out());
  }
  return name;
}

// The version is looked at first: in another version everything else may be different.
void check_version(MemberReader& members) {
  if (members.text("type") != token_type) members.refuse("type", R"(It must be "volcrypt".)");
  std::uint64_t version = members.number("version");
  if (version != token_version) {
    throw Error(errc::token_version, {"read", "a volcrypt token of format version " + std::to_string(version),
                                      "Use the volcrypt release that wrote it, or a newer one."});
  }
}

}  // namespace

Bytes authenticated_data(const Token& token) {
  const Description& description = token.description;
  return Canonical("volcrypt token v1")
      .add(algorithm)
      .add(token.cluster)
      .add(token.group)
      .add(token.volume)
      .add(token.name)
      .add(token.generation)
      .add(description.cipher)
      .add(description.key_bytes)
      .add(description.sector_size)
      .add(description.data_offset)
      .add(spelling(description.discards))
      .add(spelling(description.workqueues))
      .add(description.reencrypting ? 1U : 0U)
      .bytes();
}

std::string to_json(const Token& token) {
  check_volume_name(token.name);
  if (token.generation == 0) {
    throw Error(errc::invalid_argument, {"write", "a volcrypt token of generation 0", "Generations start at 1."});
  }
  json::object object;
  object["type"] = view(token_type);
  object["keyslots"] = json::array();
  object["version"] = token_version;
  object["cluster"] = token.cluster.str();
  object["group"] = token.group.str();
  object["volume"] = token.volume.str();
  object["name"] = token.name;
  object["generation"] = std::to_string(token.generation);
  object["algorithm"] = view(algorithm);
  object["nonce"] = to_base64(token.nonce);
  object["wrapped_dek"] = to_base64(token.wrapped_dek);
  object["description"] = render(token.description);
  return json::serialize(object);
}

Token parse_token(std::string_view text) {
  json::object object = parse_object(text, document());
  MemberReader members(object, document());
  check_version(members);
  if (!members.array("keyslots").empty()) members.refuse("keyslots", "It must be an empty array.");

  Token token;
  token.cluster = members.uuid("cluster");
  token.group = members.uuid("group");
  token.volume = members.uuid("volume");
  token.name = read_name(members);
  token.generation = members.decimal_string("generation");
  if (token.generation == 0) members.refuse("generation", "Generations start at 1.");
  if (members.text("algorithm") != algorithm)
    members.refuse("algorithm", "It must be \"" + std::string(algorithm) + "\".");
  Bytes nonce = members.base64("nonce", token.nonce.size());
  Bytes wrapped = members.base64("wrapped_dek", token.wrapped_dek.size());
  std::copy(nonce.begin(), nonce.end(), token.nonce.begin());
  std::copy(wrapped.begin(), wrapped.end(), token.wrapped_dek.begin());
  token.description = read_description(members.object("description"));
  members.finish();
  return token;
}

}  // namespace volcrypt::dm
