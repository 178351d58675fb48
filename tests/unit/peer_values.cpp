// Addresses as they are spelled, rosters, and the exact spelling of each message on port 4007.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/peer/address.hpp"
#include "agent/peer/member_messages.hpp"
#include "agent/peer/messages.hpp"
#include "agent/peer/roster.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::peer;

namespace {

auto because(errc cause) {
  return [cause](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause;
  };
}

const Uuid cluster_id = Uuid::parse("6f2c1b9a-4d3e-4f80-9a1b-0c2d4e6f8a01");
const Uuid node_id = Uuid::parse("0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0");

constexpr const char* record_text =
    R"({"generation":"3","protection":"software","name":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==","public_area":"","birth":"","trust_epoch":"2"})";

std::string with_format(const std::string& name, const std::string& members) {
  return "{\"format\":\"volcrypt " + name + "\",\"version\":1," + members + "}";
}

// The same text comes out, and any other version, unknown member or cut is refused.
template <class Parse>
void check_spelling(const std::string& text, Parse parse) {
  BOOST_TEST(to_json(parse(text)) == text);
  std::string other = text;
  other.replace(other.find("\"version\":1"), 11, "\"version\":2");
  BOOST_CHECK_EXCEPTION(parse(other), Error, because(errc::token_version));
  BOOST_CHECK_EXCEPTION(parse(text.substr(0, text.size() - 1)), Error, because(errc::token_malformed));
  BOOST_CHECK_EXCEPTION(parse(text.substr(0, text.size() - 1) + ",\"more\":1}"), Error, because(errc::token_malformed));
}

cluster::MemberEntry member(const Uuid& node, std::uint8_t key, std::vector<std::string> addresses) {
  cluster::MemberEntry entry;
  entry.node = node;
  entry.name = "node";
  entry.tls_fingerprint = key ? Bytes(32, key) : Bytes();
  entry.addresses = std::move(addresses);
  return entry;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(peer_values)

BOOST_AUTO_TEST_CASE(addresses_have_one_spelling_and_may_be_given_in_short) {
  for (const auto& [given, spelled] : {std::pair("192.0.2.7", "192.0.2.7:4007"),
                                       {"192.0.2.7:1", "192.0.2.7:1"},
                                       {"2001:db8::7", "[2001:db8::7]:4007"},
                                       {"[2001:db8::7]", "[2001:db8::7]:4007"},
                                       {"[2001:DB8:0:0::7]:65535", "[2001:db8::7]:65535"},
                                       {"::1", "[::1]:4007"}}) {
    BOOST_TEST(to_text(parse_address(given)) == spelled);
    BOOST_TEST((parse_address(spelled) == parse_address(given)));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_address_of_a_node_is_refused) {
  for (const char* text : {"",
                           " ",
                           "node1",
                           "node1:4007",
                           "192.0.2.7:",
                           "192.0.2.7:0",
                           "192.0.2.7:65536",
                           "192.0.2.7:04007",
                           "192.0.2.7:4007 ",
                           "192.0.2.256",
                           "192.0.2",
                           "0.0.0.0",
                           "::",
                           "224.0.0.1",
                           "ff02::1",
                           "[::1",
                           "[::1]4007",
                           "[::1]:",
                           "[192.0.2.7]:4007",
                           "::ffff:192.0.2.7",
                           "[]",
                           ":4007",
                           "-1",
                           "192.0.2.7:+1"})
    BOOST_CHECK_EXCEPTION(parse_address(text), Error, because(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(messages_have_one_spelling) {
  const std::string zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  check_spelling(with_format("hello", R"("software":"1.2.3","cluster":")" + cluster_id.str() + R"(","node":")" +
                                          node_id.str() + R"(","membership_version":"18446744073709551615")"),
                 parse_hello);
  check_spelling(with_format("kek offer", std::string(R"("record":)") + record_text), parse_kek_offer);
  check_spelling(with_format("kek offer answer", R"("parcel_key":"")"), parse_offer_answer);
  check_spelling(with_format("kek delivery", R"("transfer":)" +
                                                 with_format("kek transfer", std::string(R"("record":)") + record_text +
                                                                                 R"(,"duplicate":"AAEC","seed":"")") +
                                                 R"(,"parcel":"AwQF")"),
                 parse_kek_delivery);
  check_spelling(
      with_format("kek proof request", std::string(R"("record":)") + record_text + R"(,"nonce":")" + zeros + "\""),
      parse_proof_request);
  check_spelling(with_format("kek proof", R"("proof":")" + zeros + "\""), parse_proof_answer);
}

BOOST_AUTO_TEST_CASE(messages_about_a_members_work_have_one_spelling) {
  check_spelling(with_format("readiness request", R"("protection":"software")"), parse_readiness_request);
  check_spelling(with_format("readiness", R"("software":"1.2.3","failures":["The TPM is absent."])"), parse_readiness);
  check_spelling(with_format("warnings", R"("sentences":[])"), parse_sentences);
  check_spelling(with_format("kek work", R"("generation":"18446744073709551615")"), parse_work_request);
  check_spelling(
      with_format("rewrap",
                  R"("finished":false,"total":"3","done":"1","absent":"1","failures":["volume a: I/O error"])"),
      parse_rewrap_answer);
  check_spelling(with_format("census", R"("needed":["1","3"])"), parse_census);
  check_spelling(with_format("volume question", R"("volume":")" + node_id.str() + "\""), parse_volume_question);
  for (const char* holding : {"gone", "visible", "mapped"})
    check_spelling(with_format("volume answer", std::string(R"("holding":")") + holding + "\""), parse_volume_answer);
}

// What is not understood must not read as "gone": two nodes would use one drive.
BOOST_AUTO_TEST_CASE(an_answer_about_a_volume_is_one_of_three_words_or_it_is_refused) {
  for (const char* word : {"", "Gone", "gone ", "GONE", "absent", "no"})
    BOOST_CHECK_EXCEPTION(
        parse_volume_answer(with_format("volume answer", std::string(R"("holding":")") + word + "\"")), Error,
        because(errc::token_malformed));
  for (const char* members : {R"("holding":null)", R"("holding":["gone"])", R"("volume":"gone")"})
    BOOST_CHECK_EXCEPTION(parse_volume_answer(with_format("volume answer", members)), Error,
                          because(errc::token_malformed));
  BOOST_TEST(
      (parse_volume_answer(with_format("volume answer", R"("holding":"gone")")).holding == volumes::Holding::gone));
  BOOST_CHECK_EXCEPTION(parse_volume_question(with_format("volume question", R"("volume":"data1")")), Error,
                        because(errc::token_malformed));
}

// A census that is read as smaller than it is would cost a volume.
BOOST_AUTO_TEST_CASE(a_census_is_numbers_each_once_or_it_is_refused) {
  for (const char* needed : {"[1]", "[\"0\"]", "[\"01\"]", "[\"-1\"]", "[\"1\",\"1\"]", "[\"1 \"]", "[\"\"]", "[null]",
                             "{}", "[\"18446744073709551616\"]"})
    BOOST_CHECK_EXCEPTION(parse_census(with_format("census", std::string("\"needed\":") + needed)), Error,
                          because(errc::token_malformed));
}

BOOST_AUTO_TEST_CASE(sentences_of_another_node_are_few_short_and_printable) {
  const auto warnings = [](const std::string& sentences) {
    return with_format("warnings", "\"sentences\":[" + sentences + "]");
  };
  BOOST_TEST(parse_sentences(warnings("\"a\\u001b[31m\"")).sentences.front() == "a?[31m");
  BOOST_CHECK_EXCEPTION(parse_sentences(warnings("\"" + std::string(601, 'x') + "\"")), Error,
                        because(errc::token_malformed));
  std::string many = "\"x\"";
  for (int i = 0; i < 64; ++i) many += ",\"x\"";
  BOOST_CHECK_EXCEPTION(parse_sentences(warnings(many)), Error, because(errc::token_malformed));
  const Sentences own{std::vector<std::string>(100, std::string(1000, 'x'))};  // what we write, others read
  BOOST_TEST(parse_sentences(to_json(own)).sentences.size() == 64U);
}

BOOST_AUTO_TEST_CASE(messages_with_values_out_of_bounds_are_refused) {
  const auto malformed = because(errc::token_malformed);
  BOOST_CHECK_EXCEPTION(parse_offer_answer(with_format("kek offer answer", R"("parcel_key":"AAEC")")), Error,
                        malformed);
  BOOST_CHECK_EXCEPTION(parse_proof_answer(with_format("kek proof", R"("proof":"AAEC")")), Error, malformed);
  BOOST_CHECK_EXCEPTION(parse_hello(with_format("hello", R"("software":")" + std::string(65, 'x') + R"(","cluster":")" +
                                                             cluster_id.str() + R"(","node":")" + node_id.str() +
                                                             R"(","membership_version":"1")")),
                        Error, malformed);
  BOOST_CHECK_EXCEPTION(parse_kek_offer(std::string(100 * 1024, ' ')), Error, malformed);
}

BOOST_AUTO_TEST_CASE(a_roster_finds_members_by_their_key_and_says_how_to_reach_them) {
  cluster::Membership membership;
  membership.cluster = cluster_id;
  membership.members = {member(node_id, 1, {"192.0.2.7:4007", "[2001:db8::7]:4007"}), member(cluster_id, 0, {})};
  membership.members[0].tpm.attestation_key = Bytes(10, 5);
  const Roster roster(membership);
  http::Fingerprint key{};
  BOOST_TEST(roster.by_key(key) == nullptr);  // who has no key yet is not found by an empty one
  key.fill(1);
  BOOST_REQUIRE(roster.by_key(key) != nullptr);
  BOOST_TEST((roster.by_key(key) == roster.by_node(node_id)));
  const http::TlsPeer reached = roster.reach(*roster.by_key(key));
  BOOST_TEST((reached.key == key));
  BOOST_TEST(reached.addresses.size() == 2U);
  BOOST_TEST(to_text(reached.addresses[1]) == "[2001:db8::7]:4007");
  BOOST_CHECK_EXCEPTION(roster.reach(*roster.by_node(cluster_id)), Error, because(errc::wrong_state));
  BOOST_TEST((roster.attestation_keys() == std::vector<Bytes>{Bytes(10, 5)}));
}

BOOST_AUTO_TEST_SUITE_END()
