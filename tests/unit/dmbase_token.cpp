// The token: one exact spelling, strict reading, and authenticated data that covers every field.
// Vectors: tests/data/dmbase_tokens.json, computed by other software.
#define BOOST_TEST_DYN_LINK
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <set>

#include "dmtarget/token.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/vectors.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_token)

using namespace volcrypt;
using namespace volcrypt::dm;
using volcrypt::tests::refusal;
namespace json = boost::json;

namespace {

Token usual() {
  Token token;
  token.cluster = Uuid::parse("7c6b1f0e-94a3-4b1c-8e55-0d7a1c5f2b10");
  token.group = Uuid::parse("11111111-2222-4333-8444-555555555555");
  token.volume = Uuid::parse("0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4");
  token.name = "data1";
  token.generation = 3;
  for (std::size_t i = 0; i < token.nonce.size(); ++i) token.nonce[i] = static_cast<std::uint8_t>(i);
  for (std::size_t i = 0; i < token.wrapped_dek.size(); ++i) token.wrapped_dek[i] = static_cast<std::uint8_t>(i);
  return token;
}

json::object usual_object() { return json::parse(to_json(usual())).as_object(); }

using Change = std::function<void(Token&)>;

// One change of each field that the wrap must authenticate.
const std::vector<std::pair<const char*, Change>>& authenticated_changes() {
  static const std::vector<std::pair<const char*, Change>> changes = {
      {"cluster", [](Token& t) { t.cluster = Uuid::random(); }},
      {"group", [](Token& t) { t.group = Uuid::random(); }},
      {"volume", [](Token& t) { t.volume = Uuid::random(); }},
      {"name", [](Token& t) { t.name = "data2"; }},
      {"generation", [](Token& t) { t.generation = 4; }},
      {"cipher", [](Token& t) { t.description.cipher = "aes-xts-plain"; }},
      {"key_bytes", [](Token& t) { t.description.key_bytes = 32; }},
      {"sector_size", [](Token& t) { t.description.sector_size = 512; }},
      {"data_offset", [](Token& t) { t.description.data_offset += 4096; }},
      {"discards", [](Token& t) { t.description.discards = Discards::passed_down; }},
      {"workqueues", [](Token& t) { t.description.workqueues = Workqueues::bypassed; }},
      {"reencrypting", [](Token& t) { t.description.reencrypting = true; }},
  };
  return changes;
}

std::string refused_object(const json::object& object) {
  return refusal(errc::token_malformed, [&] { parse_token(json::serialize(object)); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(tokens_equal_the_vectors_in_both_directions) {
  tests::Vectors vectors("dmbase_tokens.json");
  std::size_t seen = 0;
  for (const auto& item : vectors.list("cases")) {
    tests::Vectors one(item.as_object());
    BOOST_TEST_CONTEXT(one.text("name")) {
      Token token = parse_token(one.text("json"));
      BOOST_TEST(to_json(token) == one.text("json"));
      BOOST_TEST(to_hex(authenticated_data(token)) == one.text("authenticated_data"));
      ++seen;
    }
  }
  BOOST_TEST(seen == 5U);
  BOOST_TEST(to_json(usual()) == tests::Vectors(vectors.list("cases").at(0).as_object()).text("json"));
}

// FAILURES.md F: CVE-2021-4122, metadata that drives an action must be authenticated.
BOOST_AUTO_TEST_CASE(authenticated_data_covers_every_field_of_the_description) {
  std::set<Bytes> seen{authenticated_data(usual())};
  for (const auto& [field, change] : authenticated_changes()) {
    Token token = usual();
    change(token);
    BOOST_TEST(seen.insert(authenticated_data(token)).second, field);
    BOOST_TEST((parse_token(to_json(token)) == token), field);
  }
}

BOOST_AUTO_TEST_CASE(authenticated_data_leaves_out_nonce_and_wrapped_key_only) {
  Token token = usual();
  token.nonce.fill(9);
  token.wrapped_dek.fill(9);
  BOOST_TEST(authenticated_data(token) == authenticated_data(usual()));
}

// Members, this table and authenticated_changes() go together: a new member of the struct must be added to each.
BOOST_AUTO_TEST_CASE(every_member_of_the_json_has_a_field_in_the_struct) {
  auto object = usual_object();
  BOOST_TEST(object.size() == 12U);
  BOOST_TEST(object.at("description").as_object().size() == 7U);
  BOOST_TEST(authenticated_changes().size() == 12U);
}

BOOST_AUTO_TEST_CASE(a_rendering_by_other_software_is_read) {
  Token token = usual();
  token.wrapped_dek.fill(0xff);  // its base64 is full of slashes
  std::string pretty;
  for (char c : to_json(token)) {
    if (c == '/') pretty += '\\';  // json-c escapes slashes
    pretty += c;
    if (c == ',' || c == '{') pretty += "\n    ";
    if (c == ':') pretty += ' ';
  }
  BOOST_TEST((parse_token(pretty) == token));

  auto members = json::parse(to_json(token)).as_object();
  json::object reversed;
  std::vector<std::string> keys;
  for (const auto& member : members) keys.emplace_back(member.key());
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) reversed[*key] = members.at(*key);
  BOOST_TEST((parse_token(json::serialize(reversed)) == token));
}

BOOST_AUTO_TEST_CASE(each_missing_member_is_refused_and_named) {
  auto expect_named = [](const json::object& object, const std::string& key) {
    std::string text = refused_object(object);
    BOOST_TEST(text.find("the member \"" + key + "\"") != std::string::npos, text);
    BOOST_TEST(text.find("missing") != std::string::npos, text);
  };
  const json::object whole = usual_object();
  for (const auto& member : whole) {
    json::object object = whole;
    object.erase(member.key());
    expect_named(object, std::string(member.key()));
  }
  for (const auto& member : whole.at("description").as_object()) {
    json::object object = whole;
    object["description"].as_object().erase(member.key());
    expect_named(object, std::string(member.key()));
  }
}

BOOST_AUTO_TEST_CASE(each_member_of_another_type_is_refused) {
  const json::object whole = usual_object();
  const std::vector<json::value> others = {nullptr, -1, 1.5, "", json::array{1}, json::object{{"a", 1}}};
  for (const auto& other : others) {
    for (const auto& member : whole) {
      json::object object = whole;
      object[member.key()] = other;
      refused_object(object);
    }
    for (const auto& member : whole.at("description").as_object()) {
      json::object object = whole;
      object["description"].as_object()[member.key()] = other;
      refused_object(object);
    }
  }
}

BOOST_AUTO_TEST_CASE(each_member_that_stands_twice_is_refused) {
  const std::string text = to_json(usual());
  for (const auto& member : usual_object()) {
    std::string one = json::serialize(json::object{{member.key(), member.value()}});
    refusal(errc::token_malformed, [&] { parse_token(text.substr(0, text.size() - 1) + "," + one.substr(1)); });
  }
}

BOOST_AUTO_TEST_CASE(unknown_members_are_refused_at_both_levels) {
  json::object object = usual_object();
  object["extra"] = 1;
  BOOST_TEST(refused_object(object).find("\"extra\"") != std::string::npos);
  object = usual_object();
  object["description"].as_object()["integrity"] = "hmac";
  BOOST_TEST(refused_object(object).find("\"integrity\"") != std::string::npos);
}

// FAILURES.md G: proxmox-csi-plugin#261, an upgrade that read the secret in another way; ours says its version.
BOOST_AUTO_TEST_CASE(another_format_version_is_told_apart_from_a_malformed_token) {
  for (const char* version : {"0", "2", "18446744073709551615"}) {
    std::string text = std::string(R"({"type":"volcrypt","keyslots":[],"version":)") + version + R"(,"new":true})";
    std::string error = refusal(errc::token_version, [&] { parse_token(text); });
    BOOST_TEST(error.find(version) != std::string::npos, error);
    BOOST_TEST(error.find("release") != std::string::npos, error);
  }
  for (const char* version : {"\"1\"", "1.0", "-1", "null"}) {
    refusal(errc::token_malformed,
            [&] { parse_token(std::string(R"({"type":"volcrypt","keyslots":[],"version":)") + version + "}"); });
  }
}

BOOST_AUTO_TEST_CASE(wrong_spellings_of_values_are_refused) {
  const std::string text = to_json(usual());
  auto replaced = [&text](const std::string& from, const std::string& to) {
    std::string changed = text;
    std::size_t at = changed.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    changed.replace(at, from.size(), to);
    refusal(errc::token_malformed, [&] { parse_token(changed); });
  };
  replaced("7c6b1f0e", "7C6B1F0E");                          // upper-case hex
  replaced("7c6b1f0e-94a3", "7c6b1f0e94a3-");                // dashes elsewhere
  replaced("\"generation\":\"3\"", "\"generation\":\"0\"");  // generations start at 1
  replaced("\"generation\":\"3\"", "\"generation\":\"03\"");
  replaced("\"generation\":\"3\"", "\"generation\":\"-3\"");
  replaced("\"generation\":\"3\"", "\"generation\":3");  // 64-bit numbers are strings
  replaced("\"generation\":\"3\"", "\"generation\":\"18446744073709551616\"");
  replaced("\"name\":\"data1\"", "\"name\":\"../x\"");
  replaced("\"name\":\"data1\"", "\"name\":\"control\"");
  replaced("\"nonce\":\"AAEC", "\"nonce\":\"AAEC AAEC");
  replaced("\"nonce\":\"AAECAwQF", "\"nonce\":\"AAEC");  // too short
  replaced("Tk8=\"", "Tk9=\"");                          // padding bits that are not zero
  replaced("Tk8=\"", "Tk8\"");                           // padding left out
  replaced("\"keyslots\":[]", "\"keyslots\":[\"0\"]");
  replaced("\"type\":\"volcrypt\"", "\"type\":\"systemd-tpm2\"");
  replaced("hkdf-sha256+aes-256-gcm", "HKDF-SHA256+AES-256-GCM");
  replaced("\"sector_size\":4096", "\"sector_size\":1024");
  replaced("\"sector_size\":4096", "\"sector_size\":4294971392");  // 4096 modulo 2^32
  replaced("\"discards\":\"refused\"", "\"discards\":\"Refused\"");
  replaced("\"workqueues\":\"used\"", "\"workqueues\":\"\"");
  replaced("\"cipher\":\"aes-xts-plain64\"", "\"cipher\":\"aes xts\"");
  replaced("\"reencrypting\":false", "\"reencrypting\":0");
}

BOOST_AUTO_TEST_CASE(what_is_too_long_too_deep_or_no_text_is_refused) {
  const std::string text = to_json(usual());
  BOOST_CHECK_NO_THROW(parse_token(text + std::string(token_json_limit - text.size(), ' ')));
  refusal(errc::token_malformed, [&] { parse_token(text + std::string(token_json_limit - text.size() + 1, ' ')); });
  refusal(errc::token_malformed, [] { parse_token(std::string(token_json_limit, '[')); });
  refusal(errc::token_malformed, [] { parse_token(std::string(token_json_limit, '\0')); });
  refusal(errc::token_malformed, [] { parse_token(""); });
  std::string wrong = text;
  wrong.replace(wrong.find("data1"), 5, "da\xfft");
  refusal(errc::token_malformed, [&] { parse_token(wrong); });
}

BOOST_AUTO_TEST_CASE(every_prefix_of_a_token_is_refused) {
  const std::string text = to_json(usual());
  for (std::size_t size = 0; size < text.size(); ++size) {
    refusal(errc::token_malformed, [&] { parse_token(std::string_view(text).substr(0, size)); });
  }
}

// A byte changed anywhere either is refused, or shows in the fields: no byte of the spelling is without meaning.
BOOST_AUTO_TEST_CASE(a_changed_byte_never_reads_as_the_same_token) {
  const Token token = usual();
  const std::string text = to_json(token);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ (1U << bit));
      try {
        BOOST_TEST((parse_token(changed) != token), "byte " << i << " bit " << bit);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  BOOST_TEST(refused > text.size() * 4);
}

BOOST_AUTO_TEST_CASE(a_token_that_could_not_be_read_back_is_not_written) {
  Token token = usual();
  token.generation = 0;
  refusal(errc::invalid_argument, [&] { to_json(token); });
  token = usual();
  token.name = "a b";
  refusal(errc::invalid_argument, [&] { to_json(token); });
}

BOOST_AUTO_TEST_SUITE_END()
