// The whole daemon on port 4007: who it is, what it tells a member and a stranger, and what `enable` makes of an
// address that does not answer. A member here is whoever has the daemon's own key: a cluster of one node has no other.
#include <filesystem>

#include "agent/keys/tls_key.hpp"
#include "agent/peer/address.hpp"
#include "agent/peer/messages.hpp"
#include "tests/support/daemon_checks.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/tls_node.hpp"

namespace volcrypt {

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using test::CommandResult;
using test::Daemon;
using test::must_succeed;

std::string free_addresses() {
  const auto text = [](const char* host) {
    asio::io_context loop;
    const asio::ip::tcp::acceptor acceptor(loop, {asio::ip::make_address(host), 0});
    return peer::to_text(acceptor.local_endpoint());
  };
  return text("127.0.0.1") + "," + text("::1");
}

std::string listening_at(const std::string& addresses) {
  return std::string(Daemon::short_wait) + "address = " + addresses + "\n";
}

struct ListeningNode {
  std::string addresses = free_addresses();
  std::string first = addresses.substr(0, addresses.find(','));
  std::string second = addresses.substr(addresses.find(',') + 1);
  Daemon daemon{"none", listening_at(addresses), test::Drives::files};
  std::shared_ptr<evp_pkey_st> key = keys::open_or_make_tls_key(daemon.state_directory());
  http::TlsIdentity identity{*key};

  http::Response ask(const http::TlsIdentity& as, const std::string& address) const {
    const http::TlsPeer peer{"the daemon", {peer::parse_address(address)}, identity.fingerprint()};
    return test::answer_of(as, peer, {http::Method::get, "/v1/hello", ""});
  }
  CommandResult check() const {
    return daemon.control({"enable", "cluster-encryption", "--protection", "software", "--check"});
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_peer)

BOOST_FIXTURE_TEST_CASE(a_member_is_told_who_this_is_at_each_address_and_a_stranger_nothing, ListeningNode) {
  BOOST_TEST(ask(identity, first).status == 403u);  // no cluster yet: everybody is a stranger
  must_succeed(daemon.init());
  const json::value nodes = daemon.ask({"get", "nodes"});
  const json::value& self = nodes.at("nodes").at(0);
  BOOST_TEST(self.at("addresses") == (json::array{json::string(first), json::string(second)}));
  for (const std::string& address : {first, second}) {
    const http::Response answer = ask(identity, address);
    BOOST_REQUIRE(answer.status == 200u);
    const peer::Hello hello = peer::parse_hello(answer.body);
    BOOST_TEST(hello.node.str() == self.at("id").as_string().c_str());
    BOOST_TEST(hello.membership_version == 1u);
  }
  const http::Response strange = ask(test::new_tls_secret().identity, first);
  BOOST_TEST(strange.status == 403u);
  BOOST_TEST(strange.body.find(self.at("id").as_string().c_str()) == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(after_a_restart_it_is_the_same_node_without_asking_the_store, ListeningNode) {
  must_succeed(daemon.init());
  BOOST_TEST(daemon.stop() == 0);
  std::filesystem::rename(daemon.state_directory() + "/store.db", daemon.path("store.db"));
  daemon.start_without_store();
  BOOST_TEST(test::eventually([&] {
    try {
      return ask(identity, second).status == 200u;
    } catch (const Error&) {
      return false;
    }
  }));
}

BOOST_FIXTURE_TEST_CASE(enable_asks_each_address_and_says_port_and_firewall_when_none_answers, ListeningNode) {
  must_succeed(daemon.init());
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  must_succeed(check());
  BOOST_TEST(daemon.stop() == 0);
  daemon.configure(Daemon::short_wait);  // its addresses are in the document, and it does not listen
  daemon.start();
  const CommandResult refused = check();
  BOOST_TEST(refused.status == 4);
  for (const std::string& told :
       {first.substr(0, first.find(':')), second.substr(second.rfind(':') + 1), std::string("--add-service=volcrypt")})
    BOOST_TEST(refused.out.find(told) != std::string::npos, refused.out);
}

BOOST_AUTO_TEST_CASE(an_address_that_is_taken_is_told_and_tried_again_and_the_rest_goes_on) {
  auto taken = std::make_unique<test::SilentListener>();
  const std::string address = peer::to_text(taken->endpoint());
  const Daemon daemon("none", listening_at(address), test::Drives::files);
  must_succeed(daemon.init());
  BOOST_TEST(
      test::eventually([&] { return daemon.log().find("other nodes cannot reach this one") != std::string::npos; }));
  taken.reset();
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  BOOST_TEST(test::eventually([&] {  // `enable` asks this very address
    return daemon.control({"enable", "cluster-encryption", "--protection", "software"}).status == 0;
  }));
}

BOOST_AUTO_TEST_CASE(without_an_address_nothing_listens) {
  const Daemon daemon("none", test::Drives::files);
  must_succeed(daemon.init());
  BOOST_TEST(daemon.ask({"get", "nodes"}).at("nodes").at(0).at("addresses").as_array().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
