// Members with software keys on port 4007, and a client whose other end is not what it should be.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/peer_cluster.hpp"
#include "tests/support/software_node.hpp"

using namespace volcrypt;
using namespace volcrypt::test;

namespace {

const tests::KekNodeMaker maker = [] { return std::make_unique<SoftwareNode>(); };
const PeerConformance added("software", maker);

http::Response response(unsigned status, std::string body) {
  http::Response answer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}

// One member's client whose other end answers what the test says.
struct Conversation {
  TlsNode other{{}};
  peer::Client client{new_tls_secret().identity, other.as_peer()};

  template <class T>
  std::string failure(unsigned status, const std::string& body, asio::awaitable<T> (*call)(const peer::Client&)) {
    other.answer_in_turn({response(status, body)});
    asio::io_context loop(1);
    auto done = asio::co_spawn(loop, call(client), asio::use_future);
    loop.run();
    try {
      done.get();
    } catch (const Error& error) {
      return errc_name(error.code()) + ": " + error.what();
    }
    return "no error";
  }
};

asio::awaitable<peer::Hello> hello(const peer::Client& client) { return client.hello(); }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(peer_client, Conversation)

BOOST_AUTO_TEST_CASE(an_answer_that_is_none_is_refused_and_a_refusal_is_told_printable) {
  for (const char* body : {"", "{}", "[]", "{\"format\":\"volcrypt hello\",\"version\":1}"})
    BOOST_TEST(failure(200, body, hello).starts_with("token_malformed: "), body);
  BOOST_TEST(failure(200, std::string(65 * 1024, ' '), hello).starts_with("limit_exceeded: "));
  const std::string refused = failure(
      409,
      R"({"error":{"kind":"wrong_state","message":"no\u001b[31m \u00e4","wayOut":")" + std::string(5000, 'x') + "\"}}",
      hello);
  BOOST_TEST(refused.starts_with("peer_refused: "), refused);
  BOOST_TEST(refused.find("wrong_state: no?[31m ") != std::string::npos, refused);
  BOOST_TEST(refused.size() < 1000U);
  BOOST_TEST(failure(500, "<html>", hello).find("HTTP status 500") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(a_member_whose_proof_is_another_does_not_count_and_no_proof_fits_a_second_time) {
  PeerCluster cluster(maker, 1);
  const keys::KekRecord record = cluster.create(0, 1);
  TlsNode liar{{}};
  const peer::Client client(new_tls_secret().identity, liar.as_peer());
  for (int attempt = 0; attempt < 2; ++attempt) {  // it says that it holds the KEK, and then shows what it has
    liar.answer_in_turn(
        {response(200, to_json(peer::OfferAnswer{})), response(200, to_json(peer::ProofAnswer{Digest{1}}))});
    const auto bring = [&] {
      cluster[0].run(peer::bring_kek(cluster[0].keyring(), client, {record, cluster[0].entry().node, {}}));
    };
    BOOST_CHECK_EXCEPTION(bring(), Error, [](const Error& error) { return error.code() == errc::impostor_kek; });
  }
  const std::vector<std::string> bodies = liar.bodies();
  BOOST_REQUIRE(bodies.size() == 4U);
  BOOST_TEST((peer::parse_proof_request(bodies[1]).nonce != peer::parse_proof_request(bodies[3]).nonce));
}
