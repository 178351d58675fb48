// The documents by which a node becomes a member: what is written is read as the same, and what is wrong is refused
// with its name.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/admission.hpp"
#include "agent/keys/p256.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using tests::refusal;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string text_of(const Secret& file) { return {file.view().begin(), file.view().end()}; }
JoinToken read(const std::string& text) { return parse_join_token(as_bytes(text)); }

JoinToken some_token() {
  JoinToken token;
  token.id = Uuid::random();
  token.cluster = Uuid::random();
  token.cluster_name = "vault";
  token.authority_public = keys::p256_public_der(keys::generate_p256().point);
  token.member_key = Bytes(32, 0x0a);
  token.expires = 1'800'000'000;
  token.scalar = keys::generate_p256().scalar;
  return token;
}

PendingNode some_node() {
  PendingNode node;
  node.node = Uuid::random();
  node.enrolled = R"({"name":"server2"})";
  node.tls_fingerprint = Bytes(32, 0);
  node.question = AdmissionQuestion{};
  node.question->tpm = keys::JoinChallenge{Digest{1}, Bytes(60, 1), Bytes(70, 2)};
  node.question->software = {Digest{2}, Bytes(50, 3), {}};
  node.answer = AdmissionAnswer{};
  node.answer->tpm = keys::JoinAnswer{Digest{3}, Bytes(100, 4), Bytes(70, 5)};
  node.answer->software = {Digest{4}, {}, {}};
  return node;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_token_s_file_holds_its_key_on_a_line_of_its_own_and_nowhere_else) {
  const JoinToken token = some_token();
  const std::string text = text_of(to_text(token));
  const JoinToken again = read(text);
  BOOST_TEST(text_of(to_text(again)) == text);
  BOOST_TEST(equals(again.scalar, token.scalar));
  BOOST_TEST((again.cluster == token.cluster));
  BOOST_TEST(again.expires == token.expires);
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 2);
  BOOST_TEST(!holds(text.substr(0, text.find('\n')), to_base64(token.scalar.view())));
  // A key that begins with a zero byte, and one of line feeds.
  for (const std::uint8_t byte : {0x00, 0x0a}) {
    JoinToken odd = some_token();
    std::fill_n(odd.scalar.data(), 31, byte);
    odd.scalar.data()[31] = 1;
    BOOST_TEST(equals(read(text_of(to_text(odd))).scalar, odd.scalar));
  }
}

BOOST_AUTO_TEST_CASE(a_token_s_file_that_is_cut_or_changed_is_refused) {
  const std::string text = text_of(to_text(some_token()));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, text.find('\n'), text.find('\n') + 1, text.size() - 2})
    refusal(errc::token_malformed, [&] { (void)read(text.substr(0, size)); });
  refusal(errc::token_malformed, [&] { (void)read(text + "more"); });
  const std::string first = text.substr(0, text.find('\n') + 1);
  const std::string zero = refusal(errc::token_malformed, [&] { (void)read(first + to_base64(Bytes(32, 0)) + "\n"); });
  BOOST_TEST(holds(zero, "second line"), zero);
  refusal(errc::token_malformed, [&] { (void)read(first + to_base64(Bytes(31, 1)) + "\n"); });
  std::string future = text;
  future.replace(future.find("\"version\":1"), 11, "\"version\":2");
  refusal(errc::token_version, [&] { (void)read(future); });
}

BOOST_AUTO_TEST_CASE(records_and_requests_are_read_as_they_were_written) {
  const PendingNode node = some_node();
  BOOST_TEST(to_json(parse_pending_node(to_json(node))) == to_json(node));
  PendingNode waiting = node;
  waiting.question.reset();
  waiting.answer.reset();
  BOOST_TEST(!parse_pending_node(to_json(waiting)).question);
  PendingNode software = node;
  software.question->tpm.reset();
  software.answer->tpm.reset();
  BOOST_TEST(!parse_pending_node(to_json(software)).answer->tpm);
  BOOST_TEST(to_json(parse_admission_question(to_json(*node.question))) == to_json(*node.question));
  const TokenRecord record{keys::generate_p256().point, 7};
  BOOST_TEST(parse_token_record(to_json(record)).expires == 7U);
  const JoinRequest request{Uuid::random(), Uuid::random(), "{}", Bytes(70, 1)};
  BOOST_TEST(to_json(parse_join_request(to_json(request))) == to_json(request));
}

BOOST_AUTO_TEST_CASE(what_is_too_long_or_nameless_is_refused) {
  JoinRequest request{Uuid::random(), Uuid::random(), std::string(enrolled_limit, 'x'), Bytes(70, 1)};
  BOOST_CHECK_NO_THROW((void)parse_join_request(to_json(request)));
  request.enrolled += 'x';
  const std::string text = refusal(errc::token_malformed, [&] { (void)parse_join_request(to_json(request)); });
  BOOST_TEST(holds(text, "enrolled"), text);
  request.enrolled = "{}";
  request.node = Uuid();
  refusal(errc::token_malformed, [&] { (void)parse_join_request(to_json(request)); });
  PendingNode node = some_node();
  node.tls_fingerprint.pop_back();
  refusal(errc::store_damaged, [&] { (void)parse_pending_node(to_json(node)); });
}

BOOST_AUTO_TEST_CASE(what_is_signed_is_for_one_cluster_one_node_one_tls_key_and_one_text) {
  const Uuid cluster = Uuid::random(), node = Uuid::random();
  const Bytes key(32, 1);
  const Digest said = request_digest(cluster, node, key, "{}");
  BOOST_TEST((request_digest(cluster, node, key, "{}") == said));
  BOOST_TEST((request_digest(Uuid::random(), node, key, "{}") != said));
  BOOST_TEST((request_digest(cluster, Uuid::random(), key, "{}") != said));
  BOOST_TEST((request_digest(cluster, node, Bytes(32, 2), "{}") != said));
  BOOST_TEST((request_digest(cluster, node, key, "{ }") != said));
}
