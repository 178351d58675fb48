// etcd's JSON and the operator's spelling of an etcd, without an etcd. The answers are as etcd 3.4.23 gave them.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/etcd_address.hpp"
#include "agent/cluster/etcd_messages.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using tests::refusal;

namespace {

const std::string header =
    R"("header":{"cluster_id":"14443903163313418560","member_id":"11417610130673999598","revision":"5","raft_term":"2"})";

std::string unreadable(const std::string& text) {
  return refusal(errc::store_damaged, [&] { (void)etcd::parse_range(text, "/v/"); });
}

std::string refused(const std::string& address) {
  return refusal(errc::invalid_argument, [&] { (void)parse_etcd_servers(address); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_transaction_is_written_as_etcd_reads_it) {
  Transaction transaction;
  transaction.when.push_back({"a", 0});
  transaction.when.push_back({"b", 12});
  transaction.then.emplace_back(Put{"a", "1"});
  transaction.then.emplace_back(Delete{"b"});
  BOOST_TEST(etcd::to_json(transaction, "/v/", 7) ==
             R"({"compare":[{"key":"L3YvYQ==","target":"MOD","result":"EQUAL","mod_revision":"0"},)"
             R"({"key":"L3YvYg==","target":"MOD","result":"EQUAL","mod_revision":"12"}],)"
             R"("success":[{"request_put":{"key":"L3YvYQ==","value":"MQ==","lease":"7"}},)"
             R"({"request_delete_range":{"key":"L3YvYg=="}}]})");
  BOOST_TEST(etcd::to_json(Transaction{}, "/v/") == R"({"compare":[],"success":[]})");
}

BOOST_AUTO_TEST_CASE(the_other_requests_are_written_as_etcd_reads_them) {
  etcd::RangeRequest request;
  request.keys = etcd::all_with("/v/");
  BOOST_TEST(etcd::to_json(request) == R"({"key":"L3Yv","range_end":"L3Yw"})");
  request.at = 4;
  request.limit = 10;
  BOOST_TEST(etcd::to_json(request) == R"({"key":"L3Yv","range_end":"L3Yw","revision":"4","limit":"10"})");
  BOOST_TEST(etcd::watch_request(etcd::all_with("/v/"), 9) ==
             R"({"create_request":{"key":"L3Yv","range_end":"L3Yw","start_revision":"9","fragment":true}})");
  BOOST_TEST(etcd::grant_request(30) == R"({"TTL":"30"})");
  BOOST_TEST(etcd::lease_request(-5) == R"({"ID":"-5"})");
}

BOOST_AUTO_TEST_CASE(what_was_found_is_read_and_members_that_are_left_out_are_zero_or_empty) {
  const etcd::RangeAnswer none = etcd::parse_range("{" + header + "}", "/v/");
  BOOST_TEST(none.now == 5u);
  BOOST_TEST(none.found.empty());
  BOOST_TEST(!none.more);
  const etcd::RangeAnswer some = etcd::parse_range(
      "{" + header +
          R"(,"kvs":[{"key":"L3YvYQ==","create_revision":"2","mod_revision":"3","version":"1"},)"
          R"({"key":"L3YvYg==","mod_revision":"4","value":"AAo=","lease":"99"}],"more":true,"count":"9","new":{"in":["3.9"]}})",
      "/v/");
  BOOST_REQUIRE(some.found.size() == 2u);
  BOOST_TEST(some.more);
  BOOST_TEST(some.found[0].entry.key == "a");
  BOOST_TEST(some.found[0].entry.value.empty());
  BOOST_TEST(some.found[0].entry.modified == 3u);
  BOOST_TEST(some.found[0].lease == 0);
  BOOST_TEST(some.found[1].entry.value == std::string("\0\n", 2));
  BOOST_TEST(some.found[1].lease == 99);
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_none_is_refused_and_never_taken_for_an_empty_one) {
  const std::string kv = R"("key":"L3YvYQ==","mod_revision":"3")";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"header":{}})"),
        std::string(R"({"header":{"revision":5}})"), std::string(R"({"header":{"revision":"-5"}})"),
        std::string(R"({"header":{"revision":"5x"}})"),
        std::string(R"({"header":{"revision":"99999999999999999999"}})"), "{" + header + R"(,"kvs":{}})",
        "{" + header + R"(,"kvs":[7]})", "{" + header + R"(,"kvs":[{}]})",
        "{" + header + R"(,"kvs":[{"key":"L3YvYQ=="}]})",
        "{" + header + R"(,"kvs":[{"key":"YQ==","mod_revision":"3"}]})",
        "{" + header + R"(,"kvs":[{"key":"L3YvYQ","mod_revision":"3"}]})", "{" + header + R"(,"more":"yes"})",
        "{" + header + ",\"kvs\":[{" + kv + R"(,"value":7}]})", "{" + header + "," + header + "}",
        "{" + header + ",\"kvs\":[{" + kv + R"(,"lease":"9223372036854775808"}]})"})
    unreadable(text);
}

BOOST_AUTO_TEST_CASE(a_transactions_end_and_a_watchs_lines_are_read) {
  BOOST_TEST(!etcd::parse_txn("{" + header + "}").succeeded);
  const etcd::TxnAnswer done = etcd::parse_txn("{" + header + R"(,"succeeded":true,"responses":[{}]})");
  BOOST_TEST(done.succeeded);
  BOOST_TEST(done.now == 5u);
  BOOST_TEST(etcd::parse_watch(R"({"result":{)" + header + R"(,"created":true}})").created);
  const etcd::WatchAnswer change = etcd::parse_watch(R"({"result":{)" + header + R"(,"events":[{"type":"DELETE"}]}})");
  BOOST_TEST(change.has_events);
  BOOST_TEST(change.now == 5u);
  const etcd::WatchAnswer gone =
      etcd::parse_watch(R"({"result":{"header":{"raft_term":"2"},"canceled":true,"compact_revision":"4"}})");
  BOOST_TEST(gone.cancelled);
  BOOST_TEST(gone.compacted == 4u);
  for (const char* line : {"", "{}", R"({"error":{"message":"etcdserver: no leader"}})", R"({"result":7})"})
    refusal(errc::store_damaged, [&] { (void)etcd::parse_watch(line); });
}

BOOST_AUTO_TEST_CASE(leases_and_refusals_are_read) {
  BOOST_TEST(etcd::parse_grant("{" + header + R"(,"ID":"2228897117749287945","TTL":"3"})") == 2228897117749287945);
  refusal(errc::store_damaged, [&] { (void)etcd::parse_grant("{" + header + "}"); });
  BOOST_TEST(etcd::parse_keepalive("{\"result\":{" + header + R"(,"ID":"12345"}})") == 0);
  BOOST_TEST(etcd::parse_keepalive("{\"result\":{" + header + R"(,"ID":"12345","TTL":"10"}})") == 10);
  const etcd::Refusal refusal = etcd::parse_refusal(
      R"({"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5})");
  BOOST_TEST(refusal.code == 5);
  BOOST_TEST(refusal.text == "etcdserver: requested lease not found");
  BOOST_TEST(etcd::parse_refusal("Not Found\n").code == 0);
  BOOST_TEST(etcd::parse_refusal("Not Found\n").text == "Not Found\n");
  BOOST_TEST(etcd::parse_refusal(std::string(5000, 'x')).text.size() == 200u);
}

BOOST_AUTO_TEST_CASE(an_etcd_is_written_with_or_without_what_goes_without_saying) {
  const auto servers = parse_etcd_servers("etcd:https://a.example:2379,10.0.0.2,[2001:db8::1]:99,https://b/");
  BOOST_REQUIRE(servers.size() == 4u);
  BOOST_TEST((servers[0] == http::HttpsServer{"a.example", 2379}));
  BOOST_TEST((servers[1] == http::HttpsServer{"10.0.0.2", 2379}));
  BOOST_TEST((servers[2] == http::HttpsServer{"2001:db8::1", 99}));
  const std::string whole = to_text(servers);
  BOOST_TEST(whole == "etcd:https://a.example:2379,https://10.0.0.2:2379,https://[2001:db8::1]:99,https://b:2379");
  BOOST_TEST((parse_etcd_servers(whole) == servers));
}

BOOST_AUTO_TEST_CASE(an_etcd_that_is_written_wrong_is_refused_with_what_is_wrong) {
  BOOST_TEST(refused("etcd:http://a").find("without TLS") != std::string::npos);
  BOOST_TEST(refused("etcd:a,a:2379").find("twice") != std::string::npos);
  BOOST_TEST(refused("sqlite:a").find("etcd:https://HOST:2379") != std::string::npos);
  for (const char* text :
       {"", "etcd:", "etcd:a,", "etcd:,a", "etcd:a:0", "etcd:a:65536", "etcd:a:x", "etcd:a:", "etcd:a/b",
        "etcd:2001:db8::1", "etcd:[2001:db8::1", "etcd:[a]:1", "etcd:[::1]x", "etcd:a b", "etcd:user@a"})
    refused(text);
  std::string many = "etcd:h0";
  for (int i = 1; i < 17; ++i) many += ",h" + std::to_string(i);
  BOOST_TEST(refused(many).find("At most") != std::string::npos);
  for (const char* prefix : {"", "a", "a b/", "caf\xc3\xa9/"})
    refusal(errc::invalid_argument, [&] { check_etcd_prefix(prefix); });
  check_etcd_prefix("/volcrypt/");
}
