// The store on an etcd whose members die, hang and come back. What was told as committed is there afterwards; whoever
// waits is woken; what cannot be known is called unknown.
#define BOOST_TEST_DYN_LINK
#include <boost/asio/co_spawn.hpp>
#include <boost/test/unit_test.hpp>
#include <thread>

#include "agent/cluster/etcd_messages.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"
#include "tests/support/etcd_cluster.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

struct Fixture {
  test::EtcdCluster etcd;
  EtcdAddress address = etcd.address();
  asio::io_context loop;
  EtcdStore store{options(address)};

  static EtcdStore::Options options(const EtcdAddress& address) {
    EtcdStore::Options options{address};
    options.first_pause = 50ms;
    options.longest_pause = 500ms;
    return options;
  }
  template <class T>
  T await(asio::awaitable<T> task) {
    return test::await(loop, std::move(task));
  }
  boost::system::result<Revision> try_put(EtcdStore& to, const std::string& key, const std::string& value) {
    Transaction transaction;
    transaction.then.emplace_back(Put{key, value});
    return await(to.commit(std::move(transaction)));
  }
  Revision put(const std::string& key, const std::string& value) { return try_put(store, key, value).value(); }
  // Until the members have agreed on who leads.
  Revision put_patiently(const std::string& key, const std::string& value) {
    for (const auto until = Clock::now() + 60s;;) {
      try {
        return put(key, value);
      } catch (const Error&) {
        if (Clock::now() > until) throw;
        std::this_thread::sleep_for(100ms);
      }
    }
  }
  void all_back() {
    for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) etcd.thaw(member);
    etcd.wait_until_writable();
  }
  // Runs the loop until `ended`.
  void run_until(const std::optional<Revision>& ended) {
    for (const auto until = Clock::now() + 60s; !ended && Clock::now() < until;) {
      loop.restart();
      loop.run_for(20ms);
    }
  }
};

asio::awaitable<std::string> second_line_of_a_watch(EtcdGateway gateway, std::string body,
                                                    std::function<void()> begun) {
  auto watch = co_await gateway.listen("watch", "/v3/watch", std::move(body));
  const std::string first = co_await watch.next_line(5s);
  BOOST_TEST(etcd::parse_watch(first).created);
  begun();
  co_return co_await watch.next_line(40s);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(members_that_die_one_after_the_other_are_gone_around, Fixture) {
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) {
    const std::string value = std::to_string(member);
    put("a", "before " + value);
    etcd.kill(member);
    put_patiently("a", value);
    BOOST_TEST(await(store.get("a"))->value == value);
    etcd.start(member);
    etcd.wait_until_writable();
  }
}

BOOST_FIXTURE_TEST_CASE(a_member_that_hangs_costs_its_share_of_the_deadline_and_no_more, Fixture) {
  put("a", "1");
  const std::size_t leader = etcd.leader(), hanging = leader == 0 ? 1 : 0;
  address.servers = {etcd.server(hanging), etcd.server(leader)};
  EtcdStore through_it{options(address)};
  etcd.freeze(hanging);
  const auto begin = Clock::now();
  BOOST_TEST(await(through_it.get("a"))->value == "1");
  BOOST_TEST((Clock::now() - begin < 10s));
  // Whoever answered is asked first from now on.
  const auto again = Clock::now();
  for (int i = 0; i < 3; ++i) BOOST_TEST(await(through_it.get("a"))->value == "1");
  BOOST_TEST((Clock::now() - again < 3s));
  all_back();
}

BOOST_FIXTURE_TEST_CASE(without_a_majority_calls_fail_in_time_nothing_is_lost_and_it_heals_by_itself, Fixture) {
  const Revision before = put("a", "1");
  std::optional<Revision> woken;
  asio::co_spawn(loop, store.changed("b", before), [&](std::exception_ptr, Revision now) { woken = now; });
  loop.restart();
  loop.run_for(200ms);
  etcd.kill(0);
  etcd.kill(1);
  // Each member is named, and what the operator can do.
  const auto begin = Clock::now();
  try {
    for (int i = 0; i < 5; ++i) {  // the last member takes some seconds to notice
      (void)await(store.get("a"));
      std::this_thread::sleep_for(2s);
    }
    BOOST_ERROR("read without a majority");
  } catch (const Error& error) {
    const std::string text = error.what();
    for (std::size_t member = 0; member < test::EtcdCluster::size; ++member)
      BOOST_TEST(text.find(to_text(etcd.server(member))) != std::string::npos, text);
    BOOST_TEST(text.find("more than half") != std::string::npos, text);
  }
  BOOST_TEST((Clock::now() - begin < 60s));
  BOOST_CHECK_THROW((void)try_put(store, "a", "2"), Error);
  BOOST_TEST(!woken.has_value());
  etcd.start(0);
  etcd.start(1);
  etcd.wait_until_writable();
  BOOST_TEST(await(store.get("a"))->value == "1");  // refused at once, so not in doubt
  EtcdStore other{options(address)};
  const Revision change = try_put(other, "b", "1").value();
  run_until(woken);
  BOOST_REQUIRE(woken.has_value());
  BOOST_TEST(*woken >= change);
}

BOOST_FIXTURE_TEST_CASE(a_commit_whose_answer_is_hidden_is_in_doubt_and_is_made_once_at_most, Fixture) {
  put("a", "1");
  const std::size_t leader = etcd.leader();
  address.servers = {etcd.server(leader)};
  EtcdStore::Options options = Fixture::options(address);
  options.deadline = 3s;
  EtcdStore to_leader{options};
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member)
    if (member != leader) etcd.freeze(member);
  const std::string text = tests::refusal(errc::unknown_outcome, [&] { (void)try_put(to_leader, "a", "2"); });
  BOOST_TEST(text.find(to_text(etcd.server(leader))) != std::string::npos, text);
  all_back();
  const auto entry = await(store.get("a"));
  BOOST_TEST((entry->value == "1" || entry->value == "2"));
  // It is made at most once: nothing of it comes later.
  const Revision next = put("a", "3");
  std::this_thread::sleep_for(3s);
  BOOST_TEST(await(store.get("a"))->value == "3");
  BOOST_TEST(await(store.get("a"))->modified == next);
}

BOOST_FIXTURE_TEST_CASE(a_watch_goes_on_at_another_member_when_its_own_dies_or_hangs, Fixture) {
  Revision seen = put("a", "1");
  for (const bool hangs : {false, true}) {
    const std::size_t leader = etcd.leader(), watched = leader == 0 ? 1 : 0;
    address.servers = {etcd.server(watched), etcd.server(leader)};
    EtcdStore::Options options = Fixture::options(address);
    options.watch_span = 3s;
    EtcdStore watching{options};
    std::optional<Revision> woken;
    asio::co_spawn(loop, watching.changed("a", seen), [&](std::exception_ptr, Revision now) { woken = now; });
    loop.restart();
    loop.run_for(500ms);
    BOOST_TEST(!woken.has_value());
    hangs ? etcd.freeze(watched) : etcd.kill(watched);
    EtcdStore other{Fixture::options(address)};
    const Revision change = try_put(other, "a", hangs ? "3" : "2").value();
    run_until(woken);
    BOOST_REQUIRE(woken.has_value());
    BOOST_TEST(*woken >= change);
    seen = *woken;
    hangs ? etcd.thaw(watched) : etcd.start(watched);
    etcd.wait_until_writable();
  }
}

// A member that has no leader keeps a watch open for ever, unless it was told not to.
BOOST_FIXTURE_TEST_CASE(a_watch_at_a_member_that_is_cut_off_from_the_others_is_ended_by_it, Fixture) {
  const Revision seen = put("a", "1");
  const std::size_t leader = etcd.leader(), alone = leader == 0 ? 1 : 0;
  address.servers = {etcd.server(alone)};
  EtcdGateway gateway(address, 15s);
  const std::string body = etcd::watch_request({address.prefix + "a"}, seen + 1);
  Clock::time_point begin;
  const auto cut_off = [&] {
    for (std::size_t member = 0; member < test::EtcdCluster::size; ++member)
      if (member != alone) etcd.freeze(member);
    begin = Clock::now();
  };
  try {
    const std::string last = await(second_line_of_a_watch(gateway, body, cut_off));
    BOOST_TEST(etcd::parse_watch(last).cancelled);
  } catch (const Error& error) {  // or the stream ends
    BOOST_TEST((error.code() != errc::timed_out), error.what());
  }
  BOOST_TEST((Clock::now() - begin < 30s));
  all_back();
}

BOOST_FIXTURE_TEST_CASE(a_lease_survives_the_death_of_the_member_that_granted_it, Fixture) {
  const Lease lease = await(store.acquire("coordinator", "a", 20s)).value();
  etcd.kill(etcd.leader());
  put_patiently("x", "1");
  await(store.renew(lease));
  Transaction fenced;
  fenced.when.push_back(lease.fence);
  fenced.then.emplace_back(Put{"fenced", "1"});
  BOOST_TEST(await(store.commit(fenced)).has_value());
}
