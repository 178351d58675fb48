// The conformance suite of the store's engines, see store_conformance.hpp.
#include "tests/support/store_conformance.hpp"

#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"

namespace volcrypt::test {

using namespace cluster;
using namespace std::chrono_literals;

namespace {

struct Case {
  StoreUnderTest under_test;
  asio::io_context loop;
  Store& store = *under_test.store;

  explicit Case(const MakeStore& make) : under_test(make()) {}

  std::optional<Entry> get(const std::string& key) { return await(loop, store.get(key)); }
  boost::system::result<Revision> commit(Transaction transaction) {
    return await(loop, store.commit(std::move(transaction)));
  }
  Revision put(const std::string& key, const std::string& value) { return commit({{}, {Put{key, value}}}).value(); }
  std::chrono::seconds ttl = under_test.lease_time;
  Lease acquire(const std::string& holder) { return await(loop, store.acquire("work", holder, ttl)).value(); }
  bool fenced_put(const Lease& lease) { return commit({{lease.fence}, {Put{"fenced", "x"}}}).has_value(); }
  bool refuses(Transaction transaction, errc cause) {
    try {
      commit(std::move(transaction));
    } catch (const Error& error) {
      return error.code() == cause;
    }
    return false;
  }
};

void what_was_put_is_read_back_with_its_revision(Case& t) {
  BOOST_TEST(!t.get("a").has_value());
  const auto revision = t.put("a", std::string("one\0two", 7));
  const auto entry = t.get("a");
  BOOST_REQUIRE(entry.has_value());
  BOOST_TEST(entry->value == std::string("one\0two", 7));
  BOOST_TEST(entry->modified == revision);
  t.put("a", "");
  BOOST_TEST(t.get("a")->value.empty());
}

void revisions_grow_with_each_transaction_and_are_of_the_whole_store(Case& t) {
  const auto first = t.put("a", "1");
  const auto second = t.put("b", "1");
  BOOST_TEST(first > 0u);
  BOOST_TEST(second > first);
  const auto third = t.commit({{}, {Put{"a", "2"}, Put{"b", "2"}}}).value();
  BOOST_TEST(t.get("a")->modified == third);
  BOOST_TEST(t.get("b")->modified == third);
}

void a_compare_that_fails_changes_nothing(Case& t) {
  const auto first = t.put("a", "1");
  t.put("a", "2");
  const auto lost = t.commit({{{"b", 0}, {"a", first}}, {Put{"a", "3"}, Put{"b", "3"}}});
  BOOST_REQUIRE(!lost.has_value());
  BOOST_TEST((lost.error() == errc::conflict));
  BOOST_TEST(t.get("a")->value == "2");
  BOOST_TEST(!t.get("b").has_value());
}

void a_key_that_must_not_exist_is_compared_with_zero(Case& t) {
  BOOST_TEST(t.commit({{{"a", 0}}, {Put{"a", "1"}}}).has_value());
  BOOST_TEST(!t.commit({{{"a", 0}}, {Put{"a", "2"}}}).has_value());
  t.commit({{}, {Delete{"a"}}});
  BOOST_TEST(t.commit({{{"a", 0}}, {Put{"a", "3"}}}).has_value());
}

void a_delete_removes_the_key_and_is_no_error_twice(Case& t) {
  t.put("a", "1");
  BOOST_TEST(t.commit({{}, {Delete{"a"}}}).has_value());
  BOOST_TEST(!t.get("a").has_value());
  BOOST_TEST(t.commit({{}, {Delete{"a"}}}).has_value());
}

void a_list_of_many_and_of_long_values_is_whole_and_of_one_moment(Case& t) {
  constexpr int many = 700, in_one = 100;
  for (int i = 0; i < many; i += in_one) {
    Transaction some;
    for (int j = i; j < i + in_one; ++j)
      some.then.push_back(Put{"many/" + std::to_string(10'000 + j), std::to_string(j)});
    BOOST_REQUIRE(t.commit(some).has_value());
  }
  for (int i = 0; i < 12; ++i) t.put("many/long" + std::to_string(10 + i), std::string(max_value_bytes * 3 / 4, 'x'));
  const auto all = await(t.loop, t.store.list("many/"));
  BOOST_REQUIRE(all.size() == many + 12u);
  BOOST_TEST(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key < b.key; }));
  BOOST_TEST(all.front().value == "0");
  BOOST_TEST(all[many - 1].value == std::to_string(many - 1));
  BOOST_TEST(all.back().value.size() == max_value_bytes * 3 / 4);
}

void a_list_holds_exactly_the_prefix_in_order(Case& t) {
  for (const char* key : {"volume/b", "volume/a", "volume", "volume.x", "volumes/a", "volume/~", "a"}) t.put(key, key);
  std::string keys;
  for (const auto& entry : await(t.loop, t.store.list("volume/"))) keys += entry.key + " ";
  BOOST_TEST(keys == "volume/a volume/b volume/~ ");
  BOOST_TEST(await(t.loop, t.store.list("none/")).empty());
}

void a_transaction_over_a_limit_is_refused_whole(Case& t) {
  BOOST_TEST(t.refuses({{}, {Put{"a", std::string(max_value_bytes + 1, 'x')}}}, errc::limit_exceeded));
  Transaction many;
  for (std::size_t i = 0; i <= max_transaction_operations; ++i) many.then.push_back(Put{"k" + std::to_string(i), "x"});
  BOOST_TEST(t.refuses(many, errc::limit_exceeded));
  BOOST_TEST(!t.get("k0").has_value());
  BOOST_TEST(t.put("a", std::string(max_value_bytes, 'x')) > 0u);
  BOOST_TEST(t.get("a")->value.size() == max_value_bytes);
}

void a_key_of_a_wrong_form_is_refused(Case& t) {
  for (const char* key : {"", "with blank", "caf\xc3\xa9", "lease/work"}) {
    BOOST_TEST(t.refuses({{}, {Put{key, "x"}}}, errc::invalid_argument), key);
  }
  BOOST_TEST(t.refuses({{}, {Put{"a", "1"}, Delete{"a"}}}, errc::invalid_argument));
}

void a_watch_wakes_on_a_change_under_its_prefix_and_on_no_other(Case& t) {
  const auto seen = t.put("volume/a", "1");
  std::optional<Revision> woken;
  asio::co_spawn(t.loop, t.store.changed("volume/", seen), [&](std::exception_ptr, Revision now) { woken = now; });
  t.put("other/a", "1");
  t.loop.restart();
  t.loop.run_for(50ms);
  BOOST_TEST(!woken.has_value());
  const auto revision = t.put("volume/b", "1");
  for (int i = 0; i < 10'000 && !woken; ++i) {
    t.loop.restart();
    t.loop.run_for(1ms);
  }
  BOOST_REQUIRE(woken.has_value());
  BOOST_TEST(*woken >= revision);
}

void a_watch_that_missed_a_change_returns_at_once_for_deletions_too(Case& t) {
  const auto seen = t.put("volume/a", "1");
  const auto gone = t.commit({{}, {Delete{"volume/a"}}}).value();
  BOOST_TEST(await(t.loop, t.store.changed("volume/", seen)) >= gone);
}

void a_lease_has_one_holder_until_it_is_released(Case& t) {
  const auto lease = t.acquire("a");
  BOOST_TEST(t.fenced_put(lease));
  const auto other = await(t.loop, t.store.acquire("work", "b", t.ttl));
  BOOST_REQUIRE(!other.has_value());
  BOOST_TEST((other.error() == errc::conflict));
  await(t.loop, t.store.release(lease));
  BOOST_TEST(!t.fenced_put(lease));
  BOOST_TEST(t.fenced_put(t.acquire("b")));
}

void a_lease_ends_with_its_time_and_fences_its_holder_out(Case& t) {
  const auto lease = t.acquire("a");
  t.under_test.pass_time(t.ttl + t.under_test.patience);
  BOOST_TEST(!t.fenced_put(lease));  // also before anybody else took it
  const auto second = t.acquire("b");
  BOOST_TEST(!t.fenced_put(lease));
  BOOST_TEST(t.fenced_put(second));
  BOOST_CHECK_EXCEPTION(await(t.loop, t.store.renew(lease)), Error,
                        [](const Error& error) { return error.code() == errc::conflict; });
  await(t.loop, t.store.release(lease));  // takes nothing from the new holder
  BOOST_TEST(t.fenced_put(second));
}

void a_lease_that_is_renewed_lives_on_with_the_same_fence(Case& t) {
  const auto lease = t.acquire("a");
  for (int i = 0; i < 3; ++i) {
    t.under_test.pass_time(t.ttl * 3 / 5);
    await(t.loop, t.store.renew(lease));
  }
  BOOST_TEST(t.fenced_put(lease));
}

void a_lease_can_be_renewed_and_given_back_by_whoever_has_it_in_hand(Case& t) {
  t.acquire("a");
  const auto again = t.acquire("a");
  await(t.loop, t.store.renew(again));
  await(t.loop, t.store.release(again));
  await(t.loop, t.store.release(again));  // it is gone already
  BOOST_TEST(!t.fenced_put(again));
  BOOST_TEST(t.fenced_put(t.acquire("b")));
}

void the_same_holder_gets_a_new_fence_and_its_earlier_self_is_out(Case& t) {
  const auto before = t.acquire("a");
  const auto after = t.acquire("a");
  BOOST_TEST(!t.fenced_put(before));
  BOOST_TEST(t.fenced_put(after));
}

void a_clock_that_was_set_back_does_not_make_a_lease_immortal(Case& t) {
  t.acquire("a");
  t.under_test.pass_time(-3600s);
  BOOST_TEST(t.fenced_put(t.acquire("b")));
}

}  // namespace

#define VOLCRYPT_CASE(name)   \
  BOOST_TEST_CONTEXT(#name) { \
    Case t(make);             \
    name(t);                  \
  }

void check_store_conformance(const MakeStore& make) {
  VOLCRYPT_CASE(what_was_put_is_read_back_with_its_revision)
  VOLCRYPT_CASE(revisions_grow_with_each_transaction_and_are_of_the_whole_store)
  VOLCRYPT_CASE(a_compare_that_fails_changes_nothing)
  VOLCRYPT_CASE(a_key_that_must_not_exist_is_compared_with_zero)
  VOLCRYPT_CASE(a_delete_removes_the_key_and_is_no_error_twice)
  VOLCRYPT_CASE(a_list_holds_exactly_the_prefix_in_order)
  VOLCRYPT_CASE(a_list_of_many_and_of_long_values_is_whole_and_of_one_moment)
  VOLCRYPT_CASE(a_transaction_over_a_limit_is_refused_whole)
  VOLCRYPT_CASE(a_key_of_a_wrong_form_is_refused)
  VOLCRYPT_CASE(a_watch_wakes_on_a_change_under_its_prefix_and_on_no_other)
  VOLCRYPT_CASE(a_watch_that_missed_a_change_returns_at_once_for_deletions_too)
  VOLCRYPT_CASE(a_lease_has_one_holder_until_it_is_released)
  VOLCRYPT_CASE(a_lease_ends_with_its_time_and_fences_its_holder_out)
  VOLCRYPT_CASE(a_lease_that_is_renewed_lives_on_with_the_same_fence)
  VOLCRYPT_CASE(a_lease_can_be_renewed_and_given_back_by_whoever_has_it_in_hand)
  VOLCRYPT_CASE(the_same_holder_gets_a_new_fence_and_its_earlier_self_is_out)
}

void check_store_whose_clock_is_set_back(const MakeStore& make) {
  VOLCRYPT_CASE(a_clock_that_was_set_back_does_not_make_a_lease_immortal)
}

#undef VOLCRYPT_CASE

}  // namespace volcrypt::test
