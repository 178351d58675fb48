// The store on a real etcd: the conformance suite, and etcd's own limits.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <thread>

#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"
#include "tests/support/etcd_cluster.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/store_conformance.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;

namespace {

test::EtcdCluster& etcd() {
  static test::EtcdCluster cluster;
  return cluster;
}

struct Fixture {
  EtcdAddress address = etcd().address();
  asio::io_context loop;
  EtcdStore store{EtcdStore::Options{address}};

  template <class T>
  T await(asio::awaitable<T> task) {
    return test::await(loop, std::move(task));
  }
  Revision put(const std::string& key, const std::string& value) {
    Transaction transaction;
    transaction.then.emplace_back(Put{key, value});
    return await(store.commit(std::move(transaction))).value();
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_store_on_etcd_keeps_every_promise_of_a_store) {
  test::check_store_conformance([] {
    test::StoreUnderTest made;
    made.store = std::make_unique<EtcdStore>(EtcdStore::Options{etcd().address()});
    made.pass_time = [](std::chrono::seconds time) { std::this_thread::sleep_for(time); };
    made.lease_time = 5s;
    made.patience = 3s;  // etcd looks for ended leases now and then
    return made;
  });
}

BOOST_FIXTURE_TEST_CASE(two_clusters_share_an_etcd_and_see_nothing_of_each_other, Fixture) {
  EtcdStore other{EtcdStore::Options{etcd().address()}};
  put("volume/a", "1");
  BOOST_TEST(!await(other.get("volume/a")).has_value());
  BOOST_TEST(await(other.list("volume/")).empty());
  const Lease lease = await(store.acquire("coordinator", "a", 10s)).value();
  BOOST_TEST(await(other.acquire("coordinator", "b", 10s)).has_value());
  await(store.release(lease));
}

// The store's own limits come first; this is what etcd makes of the largest of what they allow.
BOOST_FIXTURE_TEST_CASE(the_largest_transaction_that_a_store_allows_fits_into_a_request_of_etcd, Fixture) {
  Transaction largest;
  for (std::size_t i = 0; i < max_transaction_operations; ++i) {
    const std::string key = std::string(500, 'k') + std::to_string(i);
    largest.when.push_back({key, 0});
    largest.then.emplace_back(Put{key, std::string(max_value_bytes / max_transaction_operations, 'x')});
  }
  BOOST_TEST(await(store.commit(largest)).has_value());
  BOOST_TEST(await(store.list("k")).size() == max_transaction_operations);
}

BOOST_FIXTURE_TEST_CASE(a_watch_of_what_was_compacted_returns_at_once, Fixture) {
  const Revision seen = put("volume/a", "0");
  put("volume/a", "1");
  const Revision latest = put("volume/a", "2");  // what follows what was seen is gone
  etcd().ask(0, "/v3/kv/compaction", "{\"revision\":\"" + std::to_string(latest) + "\"}");
  BOOST_TEST(await(store.changed("volume/", seen)) >= latest);
  BOOST_TEST(await(store.get("volume/a"))->value == "2");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_is_older_than_what_was_seen_is_told_to_whoever_waits, Fixture) {
  const Revision now = put("volume/a", "1");
  BOOST_TEST(await(store.changed("volume/", now + 1000)) < now + 1000);
}

// With these words etcd also refuses a transaction that it has made: the one that used up the space.
BOOST_FIXTURE_TEST_CASE(an_etcd_without_space_leaves_in_doubt_what_it_did_and_says_how_it_goes_on, Fixture) {
  put("a", "1");
  etcd().ask(0, "/v3/maintenance/alarm", R"({"action":"ACTIVATE","alarm":"NOSPACE","memberID":"1"})");
  Transaction transaction;
  transaction.then.emplace_back(Put{"a", "2"});
  const std::string told = tests::refusal(errc::unknown_outcome, [&] { (void)await(store.commit(transaction)); });
  BOOST_TEST(told.find("alarm disarm") != std::string::npos, told);
  BOOST_TEST(await(store.get("a"))->value == "1");
  tests::refusal(errc::limit_exceeded, [&] { (void)await(store.acquire("work", "me", 10s)); });
  etcd().ask(0, "/v3/maintenance/alarm", R"({"action":"DEACTIVATE","alarm":"NOSPACE","memberID":"1"})");
  put("a", "2");
}

BOOST_FIXTURE_TEST_CASE(a_key_that_is_not_ours_under_our_prefix_is_told_and_nothing_is_made_of_it, Fixture) {
  // "/test-N" without its slash stands before the prefix, "/test-N0" behind it: neither is ours.
  const std::string before = address.prefix.substr(0, address.prefix.size() - 1);
  for (const std::string& key : {before, before + "0"})
    etcd().ask(0, "/v3/kv/put", "{\"key\":\"" + to_base64(as_bytes(key)) + "\",\"value\":\"eA==\"}");
  BOOST_TEST(await(store.list("")).empty());
}
