// Parsing of LUKS2 metadata, see header_facts.hpp. libcryptsetup has validated the JSON against the specification; here
// everything is an oddity that a header written by LuksHeader::format does not have, so a new LUKS2 feature is refused
// until we know what it does.
#include "dmtarget/header_facts.hpp"

#include <boost/json.hpp>
#include <charconv>

#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::dm {
namespace {

namespace json = boost::json;
using Oddities = std::vector<std::string>;

// An empty object stands for a missing one: what is missing shows as a difference later.
const json::object& object_at(const json::object& parent, std::string_view name) {
  static const json::object nothing;
  const json::value* found = parent.if_contains(name);
  return found && found->is_object() ? found->get_object() : nothing;
}

std::string text_at(const json::object& parent, std::string_view name) {
  const json::value* found = parent.if_contains(name);
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::uint64_t number_at(const json::object& parent, std::string_view name) {
  const json::value* found = parent.if_contains(name);
  return found && found->is_int64() && found->get_int64() > 0 ? static_cast<std::uint64_t>(found->get_int64()) : 0;
}

// LUKS2 writes 64-bit numbers as decimal strings (section 3.1).
std::uint64_t number_in_text_at(const json::object& parent, std::string_view name) {
  std::string text = text_at(parent, name);
  std::uint64_t number = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size() ? number : 0;
}

void only_members(const json::object& object, std::initializer_list<std::string_view> known, const std::string& where,
                  Oddities& oddities) {
  for (const auto& member : object) {
    bool is_known = std::find(known.begin(), known.end(), std::string_view(member.key())) != known.end();
    if (!is_known) oddities.push_back(where + " has a member \"" + std::string(member.key()) + "\"");
  }
}

void read_segments(const json::object& header, HeaderFacts& facts) {
  const json::object& segments = object_at(header, "segments");
  const json::object& segment = object_at(segments, "0");
  facts.segments = static_cast<std::uint32_t>(segments.size());
  facts.description.cipher = text_at(segment, "encryption");
  facts.description.sector_size = static_cast<std::uint32_t>(number_at(segment, "sector_size"));
  facts.description.data_offset = number_in_text_at(segment, "offset");
  if (text_at(segment, "type") != "crypt") facts.oddities.push_back("segment 0 is not of type crypt");
  if (text_at(segment, "size") != "dynamic") facts.oddities.push_back("segment 0 does not reach to the device's end");
  if (text_at(segment, "iv_tweak") != "0") facts.oddities.push_back("segment 0 has an IV offset");
  only_members(segment, {"type", "offset", "size", "iv_tweak", "encryption", "sector_size"}, "segment 0",
               facts.oddities);
}

void read_digests(const json::object& header, HeaderFacts& facts) {
  // A forged count of iterations would stop every attach for hours; ours is the minimum, 1000. It must be a whole
  // number: the library would take 4e9 and "4000000000" for one, and number_at has 0 for them.
  constexpr std::uint64_t most_iterations = 1'000'000;
  const json::object& digests = object_at(header, "digests");
  const json::object& digest = object_at(digests, "0");
  const json::value* segments = digest.if_contains("segments");
  const json::value* keyslots = digest.if_contains("keyslots");
  if (digests.size() != 1) facts.oddities.push_back(std::to_string(digests.size()) + " digests");
  if (text_at(digest, "type") != "pbkdf2" || text_at(digest, "hash") != "sha256")
    facts.oddities.push_back("digest 0 is not PBKDF2 with SHA-256");
  const std::uint64_t iterations = number_at(digest, "iterations");
  if (iterations == 0) facts.oddities.push_back("digest 0 has no whole number of iterations");
  if (iterations > most_iterations)
    facts.oddities.push_back("digest 0 asks for " + std::to_string(iterations) + " iterations");
  if (!segments || *segments != json::value(json::array{"0"}))
    facts.oddities.push_back("digest 0 is not for segment 0 alone");
  if (!keyslots || *keyslots != json::value(json::array{})) facts.oddities.push_back("digest 0 is bound to keyslots");
  only_members(digest, {"type", "hash", "iterations", "segments", "keyslots", "salt", "digest"}, "digest 0",
               facts.oddities);
}

void read_config(const json::object& header, HeaderFacts& facts) {
  const json::object& config = object_at(header, "config");
  if (const json::value* flags = config.if_contains("flags"))
    facts.oddities.push_back("persistent flags " + json::serialize(*flags));
  if (const json::value* requirements = config.if_contains("requirements")) {
    std::string text = json::serialize(*requirements);
    facts.oddities.push_back("requirements " + text);
    facts.description.reencrypting = text.find("reencrypt") != std::string::npos;
  }
  only_members(config, {"json_size", "keyslots_size", "flags", "requirements"}, "config", facts.oddities);
}

void read_token(const json::object& header, OurHeader& result, const std::string& device) {
  const json::object& tokens = object_at(header, "tokens");
  std::vector<const json::object::value_type*> ours;
  for (const auto& entry : tokens) {
    bool is_ours = entry.value().is_object() && text_at(entry.value().get_object(), "type") == token_type;
    if (is_ours)
      ours.push_back(&entry);
    else
      result.facts.oddities.push_back("a token that is not volcrypt's");
  }
  if (ours.empty())
    throw Error(errc::not_ours, {"open", device, "Its LUKS2 header carries no volcrypt token. Nothing was changed."});
  if (ours.size() > 1)
    throw Error(
        errc::header_changed,
        {"open", device, "It carries " + std::to_string(ours.size()) + " volcrypt tokens. Nothing was changed."});
  std::string_view slot(ours.front()->key());
  std::from_chars(slot.data(), slot.data() + slot.size(), result.token_slot);
  result.token = parse_token(json::serialize(ours.front()->value()));
}

Uuid uuid_of(const HeaderText& text, const std::string& device) {
  try {
    return Uuid::parse(text.uuid);
  } catch (const Error&) {
    throw Error(errc::header_changed, {"open", device, "Its UUID is not in our spelling. Nothing was changed."});
  }
}

}  // namespace

OurHeader parse_our_header(const HeaderText& text, const std::string& device) {
  if (text.subsystem != header_subsystem)
    throw Error(errc::not_ours, {"open", device, "It carries a LUKS2 header of something else. Nothing was changed."});
  boost::system::error_code failure;
  json::value root = json::parse(text.json, failure);
  if (failure || !root.is_object())
    throw Error(errc::header_damaged, {"open", device, "Its metadata is not JSON. Nothing was changed."});
  const json::object& header = root.get_object();

  OurHeader result;
  HeaderFacts& facts = result.facts;
  facts.uuid = uuid_of(text, device);
  facts.label = text.label;
  facts.subsystem = text.subsystem;
  facts.keyslots = static_cast<std::uint32_t>(object_at(header, "keyslots").size());
  read_segments(header, facts);
  read_digests(header, facts);
  read_config(header, facts);
  only_members(header, {"keyslots", "tokens", "segments", "digests", "config"}, "the header", facts.oddities);
  read_token(header, result, device);
  facts.description.key_bytes = result.token.description.key_bytes;
  facts.description.discards = result.token.description.discards;
  facts.description.workqueues = result.token.description.workqueues;
  return result;
}

void check_facts(const HeaderFacts& facts, const Token& token, const std::string& device) {
  const Description& is = facts.description;
  const Description& told = token.description;
  std::string differences;
  auto differ = [&differences](const std::string& what) { differences += (differences.empty() ? "" : ", ") + what; };
  auto compare = [&differ](const char* what, const auto& header, const auto& described) {
    if (!(header == described)) differ(what);
  };
  compare("UUID", facts.uuid, token.volume);
  compare("label", facts.label, header_label(token.name));
  compare("cipher", is.cipher, told.cipher);
  compare("sector size", is.sector_size, told.sector_size);
  compare("data offset", is.data_offset, told.data_offset);
  compare("re-encryption", is.reencrypting, told.reencrypting);
  if (told.reencrypting) differ("a re-encryption, which this release does not do");
  if (told.cipher != Description{}.cipher) differ("a cipher other than " + Description{}.cipher);
  if (told.key_bytes != volume_key_size) differ("a key size other than 64 bytes");
  if (facts.keyslots != 0) differ(std::to_string(facts.keyslots) + " keyslots");
  if (facts.segments != 1) differ(std::to_string(facts.segments) + " segments");
  for (const std::string& oddity : facts.oddities) differ(oddity);
  if (!differences.empty())
    throw Error(errc::header_changed, {"accept the header of", device,
                                       "It differs in: " + differences +
                                           ". Somebody edited it; restore it from the cluster's backup with "
                                           "`volcryptctl header restore NAME --device " +
                                           device + "`. Nothing was changed."});
}

}  // namespace volcrypt::dm
