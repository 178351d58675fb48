// The HTTP server and client of port 4007 on loopback, under real TLS: who is let in, what a stranger gets, and clients
// that do it wrong: silent, many, without a key, with another protocol. Members are served meanwhile.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "agent/keys/tls_key.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/raw_tls.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::test;
using namespace std::chrono_literals;
using http::Method;
namespace fs = std::filesystem;

namespace {

http::TlsLimits small_limits() {
  http::TlsLimits limits;
  limits.members.idle = limits.members.body = limits.members.write = 1500ms;
  limits.strangers.idle = limits.strangers.body = limits.strangers.write = 1500ms;
  limits.handshake = 1500ms;
  return limits;
}

// A server and the identity of one member.
struct Cluster {
  TlsNode server;
  http::TlsIdentity member = new_tls_secret().identity;

  explicit Cluster(http::TlsLimits limits = small_limits()) : server(limits) { server.admit(member.fingerprint()); }
  http::Response ask(const http::TlsIdentity& who, http::TlsRequest request) {
    return answer_of(who, server.as_peer(), std::move(request));
  }
  http::Response get(const std::string& target) { return ask(member, {.target = target}); }
  bool works() { return get("/ping").body.starts_with("GET /ping 0 "); }
};

std::string cause_text(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return errc_name(error.code()) + ": " + error.what();
  }
  return "no error";
}

bool names(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(tls)

BOOST_AUTO_TEST_CASE(a_member_is_answered_and_known_by_its_key_and_address_over_both_protocols) {
  Cluster cluster;
  BOOST_REQUIRE(cluster.server.endpoints().size() == 2U);
  for (const auto& endpoint : cluster.server.endpoints()) {
    http::TlsPeer peer = cluster.server.as_peer();
    peer.addresses = {endpoint};
    const http::Response answer =
        answer_of(cluster.member, peer, {.method = Method::post, .target = "/x", .body = "{}"});
    BOOST_TEST(answer.status == 200U);
    BOOST_TEST(answer.body ==
               "POST /x 2 " + to_hex(cluster.member.fingerprint()) + " " + endpoint.address().to_string());
  }
}

BOOST_AUTO_TEST_CASE(a_server_with_another_key_is_refused_before_it_learns_of_the_request) {
  Cluster cluster;
  http::TlsPeer peer = cluster.server.as_peer();
  peer.key = new_tls_secret().identity.fingerprint();
  const std::string text = cause_text([&] { answer_of(cluster.member, peer, {.target = "/secret"}); });
  BOOST_TEST(text.starts_with("peer_refused: "), text);
  BOOST_TEST(names(text, "another key than the cluster knows of it"), text);
  BOOST_TEST(names(text, "127.0.0.1 port "), text);
  BOOST_TEST(cluster.server.targets().count("/secret") == 0U);
  BOOST_TEST(cluster.works());
}

BOOST_AUTO_TEST_CASE(a_stranger_is_heard_with_small_bodies_only_and_a_removed_member_is_a_stranger) {
  Cluster cluster;
  const http::TlsIdentity stranger = new_tls_secret().identity;
  const std::string large(80 * 1024, 'x');
  BOOST_TEST(cluster.ask(stranger, {.method = Method::post, .target = "/y", .body = "{}"}).status == 403U);
  BOOST_TEST(cluster.ask(stranger, {.method = Method::post, .target = "/y", .body = large}).status == 413U);
  BOOST_TEST(cluster.ask(cluster.member, {.method = Method::post, .target = "/y", .body = large}).status == 200U);
  cluster.server.expel(cluster.member.fingerprint());
  BOOST_TEST(cluster.ask(cluster.member, {.target = "/y"}).status == 403U);
}

BOOST_AUTO_TEST_CASE(who_shows_no_key_or_one_of_another_kind_or_speaks_an_older_tls_is_not_let_in) {
  Cluster cluster;
  BOOST_TEST(raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::none}) == "");
  BOOST_TEST(raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::rsa}) == "");
  BOOST_TEST(raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::p384}) == "");
  BOOST_TEST(raw_tls_answer(cluster.server, {.newest_version = TlsShape::Version::tls12}) == "");
  BOOST_TEST(raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::huge}) == "");
  BOOST_TEST(cluster.server.targets().empty());
  BOOST_TEST(raw_tls_answer(cluster.server, {}).starts_with("HTTP/1.1 403"));  // it was those, not the test
  BOOST_TEST(cluster.works());
}

// A node whose clock is years off.
BOOST_AUTO_TEST_CASE(the_dates_of_a_certificate_do_not_matter) {
  Cluster cluster;
  BOOST_TEST(
      raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::expired}).starts_with("HTTP/1.1 403"));
  BOOST_TEST(
      raw_tls_answer(cluster.server, {.certificate = TlsShape::Certificate::future}).starts_with("HTTP/1.1 403"));
}

BOOST_AUTO_TEST_CASE(what_is_not_tls_is_closed_without_an_answer) {
  Cluster cluster;
  for (const std::string& text : {std::string("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(20000, '\0'),
                                  std::string("\x16\x03\x01\xff\xff\x01", 6)}) {
    TcpClient client(cluster.server);
    client.send(text);
    BOOST_TEST(client.rest().find("HTTP") == std::string::npos);
  }
  BOOST_TEST(cluster.works());
}

BOOST_AUTO_TEST_CASE(a_silent_connection_ends_at_the_handshakes_deadline) {
  Cluster cluster;
  TcpClient silent(cluster.server);
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(silent.rest() == "");
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 20s));
  BOOST_TEST(eventually([&] { return cluster.server.connections().strangers == 0; }));
}

BOOST_AUTO_TEST_CASE(strangers_on_one_address_and_on_many_keep_no_member_out) {
  http::TlsLimits limits = small_limits();
  limits.handshake = 60s;  // they would stay
  Cluster cluster(limits);
  std::vector<TcpClient> crowd;
  for (int i = 0; i < 40; ++i) crowd.emplace_back(cluster.server, "127.0.0.9");
  BOOST_TEST(cluster.works());
  BOOST_TEST(eventually([&] { return cluster.server.connections().strangers <= limits.of_one_address; }));
  for (int i = 0; i < 200; ++i) crowd.emplace_back(cluster.server, "127.0.1." + std::to_string(1 + i));
  BOOST_TEST(cluster.works());
  BOOST_TEST(eventually([&] { return cluster.server.connections().strangers <= limits.strangers.connections; }));
}

BOOST_AUTO_TEST_CASE(a_member_with_too_many_connections_loses_its_own_oldest_and_no_one_elses) {
  http::TlsLimits limits = small_limits();
  limits.members.idle = 60s;
  limits.of_one_member = 4;
  Cluster cluster(limits);
  const TlsSecret greedy = new_tls_secret();
  cluster.server.admit(greedy.identity.fingerprint());
  const TlsSecret other = new_tls_secret();
  cluster.server.admit(other.identity.fingerprint());
  RawTls kept(cluster.server, {.key = &other});
  std::vector<std::unique_ptr<RawTls>> many;
  for (int i = 0; i < 12; ++i) many.push_back(std::make_unique<RawTls>(cluster.server, TlsShape{.key = &greedy}));
  BOOST_TEST(many.back()->answer("/ping").starts_with("HTTP/1.1 200"));
  BOOST_TEST(many.front()->answer("/ping") == "");
  BOOST_TEST(kept.answer("/ping").starts_with("HTTP/1.1 200"));
  BOOST_TEST(eventually([&] { return cluster.server.connections().members <= 5; }));
}

BOOST_AUTO_TEST_CASE(members_over_the_limit_of_all_are_told_that_there_is_no_room) {
  http::TlsLimits limits = small_limits();
  limits.members.idle = 60s;
  limits.members.connections = 3;
  Cluster cluster(limits);
  std::vector<std::unique_ptr<TlsSecret>> secrets;
  std::vector<std::unique_ptr<RawTls>> open;
  for (int i = 0; i < 3; ++i) {
    secrets.push_back(std::make_unique<TlsSecret>(new_tls_secret()));
    cluster.server.admit(secrets.back()->identity.fingerprint());
    open.push_back(std::make_unique<RawTls>(cluster.server, TlsShape{.key = secrets.back().get()}));
    BOOST_TEST(open.back()->answer("/ping").starts_with("HTTP/1.1 200"));
  }
  const http::Response answer = cluster.get("/ping");
  BOOST_TEST(answer.status == 503U);
  open.clear();
  BOOST_TEST(eventually([&] { return cluster.server.connections().members == 0; }));
  BOOST_TEST(cluster.works());
}

BOOST_AUTO_TEST_CASE(addresses_are_tried_in_order_and_a_silent_one_costs_its_share_only) {
  Cluster cluster;
  const SilentListener silent;
  http::TlsPeer peer = cluster.server.as_peer();
  peer.addresses.insert(peer.addresses.begin(), {closed_endpoint(), silent.endpoint()});
  BOOST_TEST(answer_of(cluster.member, peer, {.target = "/ping", .deadline = 4s}).status == 200U);
}

BOOST_AUTO_TEST_CASE(a_node_that_cannot_be_reached_is_named_with_port_addresses_and_the_firewalls_command) {
  Cluster cluster;
  http::TlsPeer peer{.name = "node-b", .addresses = {closed_endpoint(), closed_endpoint()}, .key = {}};
  const std::string text = cause_text([&] { answer_of(cluster.member, peer, {.target = "/ping"}); });
  for (const char* part : {"node-b", "127.0.0.1 port ", "refused", "firewall-cmd --permanent --add-service=volcrypt"})
    BOOST_TEST(names(text, part), text);
  const SilentListener silent;
  peer.addresses = {silent.endpoint()};
  const std::string late = cause_text([&] { answer_of(cluster.member, peer, {.target = "/ping", .deadline = 500ms}); });
  BOOST_TEST(late.starts_with("timed_out: "), late);
  BOOST_TEST(names(late, std::to_string(silent.endpoint().port())), late);
  peer.addresses.clear();
  BOOST_TEST(
      cause_text([&] { answer_of(cluster.member, peer, {.target = "/ping"}); }).starts_with("invalid_argument: "));
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_late_or_too_long_is_an_error_and_its_effect_unknown) {
  Cluster cluster;
  const http::TlsPeer peer = cluster.server.as_peer();
  const std::string late =
      cause_text([&] { answer_of(cluster.member, peer, {.target = "/never", .deadline = 700ms}); });
  BOOST_TEST(late.starts_with("timed_out: "), late);
  BOOST_TEST(names(late, "effect is unknown"), late);
  const std::string large =
      cause_text([&] { answer_of(cluster.member, peer, {.target = "/large", .answer_bytes = 1000}); });
  BOOST_TEST(large.starts_with("limit_exceeded: "), large);
  BOOST_TEST(answer_of(cluster.member, peer, {.target = "/large"}).body.size() == 2'000'000U);
}

BOOST_AUTO_TEST_CASE(a_server_that_stops_closes_what_is_open_and_one_on_the_same_port_follows_it) {
  Cluster first;
  const TlsSecret secret = new_tls_secret();
  first.server.admit(secret.identity.fingerprint());
  RawTls open(first.server, {.key = &secret});
  BOOST_TEST(open.answer("/ping").starts_with("HTTP/1.1 200"));
  first.server.stop();
  const TlsNode second(small_limits(), first.server.endpoints());  // while the kernel remembers the first
  BOOST_TEST((second.endpoints() == first.server.endpoints()));
  BOOST_TEST(open.answer("/ping") == "");
}

BOOST_AUTO_TEST_CASE(an_address_that_is_not_there_yet_is_bound_and_one_that_is_taken_is_named) {
  const TlsNode early(small_limits(), {{asio::ip::make_address("192.0.2.77"), 0}});
  const TlsNode holder(small_limits());
  const std::string text = cause_text([&] { TlsNode(small_limits(), {holder.endpoints().front()}); });
  BOOST_TEST(names(text, "127.0.0.1 port " + std::to_string(holder.endpoints().front().port())), text);
  BOOST_TEST(names(text, "ss -ltnp"), text);
}

BOOST_AUTO_TEST_CASE(a_nodes_key_is_made_once_and_one_that_is_damaged_is_told_and_not_replaced) {
  const tests::TemporaryDirectory directory;
  const auto fingerprint = [&] {
    return http::TlsIdentity(*keys::open_or_make_tls_key(directory.path())).fingerprint();
  };
  const http::Fingerprint made = fingerprint();
  BOOST_TEST((fingerprint() == made));
  for (const char* file : {"tls-key", "tls-key.copy"})
    BOOST_TEST((fs::status(directory.path() / file).permissions() == (fs::perms::owner_read | fs::perms::owner_write)));
  std::ofstream(directory.path() / "tls-key") << "damaged";
  BOOST_TEST((fingerprint() == made));
  std::ofstream(directory.path() / "tls-key.copy") << "damaged";
  BOOST_TEST(cause_text(fingerprint).starts_with("store_damaged: "));
  BOOST_TEST(cause_text(fingerprint).starts_with("store_damaged: "));  // still
}

BOOST_AUTO_TEST_SUITE_END()
