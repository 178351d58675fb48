// A cluster's state on its way from one store to another: whole at its end, begun again after every failure, and never
// put upon what somebody else has there. And the record of where the store is.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/gated_store.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/store_move.hpp"
#include "agent/cluster/store_record.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using tests::refusal;

namespace {

const Uuid here = Uuid::parse("11111111-2222-4333-8444-555555555555");
const Uuid other = Uuid::parse("99999999-2222-4333-8444-555555555555");
using Content = std::map<std::string, std::string>;

struct Move {
  test::MemoryStore from, to;

  Move() {
    put(from, "membership", "the document");
    for (int i = 0; i < 300; ++i) put(from, "volume/" + std::to_string(i), std::to_string(i));
    for (int i = 0; i < 5; ++i) put(from, "header/" + std::to_string(i), std::string(max_value_bytes / 2 - 1, 'h'));
    put(from, "header/largest", std::string(max_value_bytes, 'h'));
    put(from, "header/zeros", std::string("\0\n\0", 3));
    (void)test::await(from.acquire("coordinator", "me", std::chrono::seconds(30)));
  }
  static void put(Store& store, const std::string& key, const std::string& value) {
    Transaction transaction;
    transaction.then.emplace_back(Put{key, value});
    BOOST_REQUIRE(test::await(store.commit(std::move(transaction))).has_value());
  }
  static void remove(Store& store, const std::string& key) {
    Transaction transaction;
    transaction.then.emplace_back(Delete{key});
    BOOST_REQUIRE(test::await(store.commit(std::move(transaction))).has_value());
  }
  static Content content(const test::MemoryStore& store) {
    Content all;
    for (const auto& [key, entry] : store.entries)
      if (!key.starts_with("lease/")) all[key] = entry.value;
    return all;
  }
  void copy() { test::await(copy_store(from, to, here)); }
};

asio::awaitable<void> fail_at_step(int& steps, int failing) {
  if (++steps == failing) throw Error(errc::unknown_outcome, {"commit to", "the store", ""});
  co_return;
}

asio::awaitable<void> move_as_well_at_step(int& steps, int interrupted, Move& move) {
  if (++steps == interrupted) co_await copy_store(move.from, move.to, here);
}

asio::awaitable<void> write_into(test::MemoryStore& store, std::string key) {
  const auto found = store.entries.find(key);
  if (found != store.entries.end()) found->second.value = "not what was sent";
  co_return;
}

asio::awaitable<void> note(std::vector<std::string>& order) {
  order.emplace_back("committed");
  co_return;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(all_but_the_leases_is_moved_and_the_mark_goes_when_the_new_store_is_in_use, Move) {
  copy();
  Content expected = content(from);
  expected["move"] = here.str();
  BOOST_TEST((content(to) == expected));
  BOOST_TEST(!to.entries.contains("lease/coordinator"));
  test::await(finish_move(to));
  expected.erase("move");
  BOOST_TEST((content(to) == expected));
  test::await(finish_move(to));
}

BOOST_FIXTURE_TEST_CASE(a_move_that_fails_at_any_of_its_calls_changes_nothing_here_and_can_be_repeated, Move) {
  const Content before = content(from);
  int failures = 0;
  for (int failing = 1, failed_before = -1; failures != failed_before; ++failing) {
    failed_before = failures;
    // Before a call and after a commit: what was not done, and what was done and not told.
    for (const bool afterwards : {false, true}) {
      test::MemoryStore fresh;
      int steps = 0;
      (afterwards ? fresh.after : fresh.before) = [&] { return fail_at_step(steps, failing); };
      bool failed = false;
      try {
        test::await(copy_store(from, fresh, here));
      } catch (const Error&) {
        failed = true;
        ++failures;
      }
      fresh.before = fresh.after = nullptr;
      BOOST_TEST((content(from) == before));
      if (failed) BOOST_TEST((fresh.entries.empty() || fresh.entries.contains("move")));
      // Something changed here meanwhile, as after every failure.
      put(from, "volume/0", std::to_string(failing));
      remove(from, "volume/1");
      test::await(copy_store(from, fresh, here));
      Content expected = content(from);
      expected["move"] = here.str();
      BOOST_TEST((content(fresh) == expected));
      put(from, "volume/0", "0");
      put(from, "volume/1", "1");
    }
  }
  BOOST_TEST(failures > 10);
}

BOOST_FIXTURE_TEST_CASE(what_somebody_else_has_there_is_never_touched, Move) {
  put(to, "volume/theirs", "x");
  const Content theirs = content(to);
  refusal(errc::wrong_state, [&] { copy(); });
  BOOST_TEST((content(to) == theirs));
  put(to, "move", other.str());  // another cluster's move, cut off
  refusal(errc::wrong_state, [&] { copy(); });
  BOOST_TEST(to.entries.at("volume/theirs").value == "x");
}

BOOST_FIXTURE_TEST_CASE(a_cluster_that_is_in_use_there_is_not_taken_for_a_move_that_was_cut_off, Move) {
  copy();
  test::await(finish_move(to));
  const Content in_use = content(to);
  refusal(errc::wrong_state, [&] { copy(); });
  BOOST_TEST((content(to) == in_use));
}

BOOST_FIXTURE_TEST_CASE(of_two_moves_at_a_time_one_is_told_about_the_other, Move) {
  int steps = 0;
  to.before = [&] { return move_as_well_at_step(steps, 4, *this); };
  refusal(errc::conflict, [&] { copy(); });
  Content expected = content(from);
  expected["move"] = here.str();
  BOOST_TEST((content(to) == expected));
}

BOOST_FIXTURE_TEST_CASE(what_is_read_back_is_compared_with_what_was_sent, Move) {
  to.after = [&] { return write_into(to, "header/zeros"); };
  refusal(errc::store_damaged, [&] { copy(); });
}

BOOST_AUTO_TEST_CASE(changes_are_held_up_when_those_under_way_have_ended_and_reads_are_not) {
  asio::io_context loop;
  auto behind = std::make_unique<test::MemoryStore>();
  test::MemoryStore& store = *behind;
  GatedStore gate(std::move(behind));
  std::vector<std::string> order;
  store.after = [&] { return note(order); };
  Transaction transaction;
  transaction.then.emplace_back(Put{"a", "1"});
  asio::co_spawn(loop, gate.commit(transaction), [&](std::exception_ptr, const auto&) {});
  const Lease lease = test::await(loop, gate.acquire("work", "me", std::chrono::seconds(10))).value();
  asio::co_spawn(loop, gate.commit(transaction), [&](std::exception_ptr, const auto&) {});
  test::await(loop, gate.hold_changes());
  order.emplace_back("held");
  BOOST_TEST(order == (std::vector<std::string>{"committed", "committed", "held"}), boost::test_tools::per_element());
  refusal(errc::wrong_state, [&] { (void)test::await(loop, gate.commit(transaction)); });
  refusal(errc::wrong_state, [&] { test::await(loop, gate.renew(lease)); });
  refusal(errc::wrong_state, [&] { test::await(loop, gate.release(lease)); });
  refusal(errc::wrong_state, [&] { (void)test::await(loop, gate.acquire("work", "me", std::chrono::seconds(10))); });
  BOOST_TEST(test::await(loop, gate.get("a"))->value == "1");
  BOOST_TEST(test::await(loop, gate.list("a")).size() == 1u);
  gate.let_changes_pass();
  BOOST_TEST(test::await(loop, gate.commit(transaction)).has_value());
}

BOOST_AUTO_TEST_CASE(the_record_of_a_store_has_one_spelling_and_others_are_refused) {
  BOOST_TEST(to_json(StoreRecord{}) == R"({"version":1,"engine":"embedded"})");
  BOOST_TEST((parse_store_record(R"({"version":1,"engine":"embedded"})") == StoreRecord{}));
  EtcdAddress address;
  address.servers = parse_etcd_servers("etcd:a,[::1]:99");
  address.files = {"/etc/ca.pem", "/etc/node.pem", "/etc/node-key.pem"};
  const std::string text = to_json(StoreRecord{address});
  BOOST_TEST(text ==
             R"({"version":1,"engine":"etcd","servers":"etcd:https://a:2379,https://[::1]:99","prefix":"/volcrypt/",)"
             R"("authority":"/etc/ca.pem","certificate":"/etc/node.pem","key":"/etc/node-key.pem"})");
  BOOST_TEST((parse_store_record(text).etcd == address));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    return changed.replace(changed.find(from), from.size(), to);
  };
  refusal(errc::token_version, [&] { (void)parse_store_record(with(":1,", ":2,")); });
  for (const std::string& bad :
       {std::string("{}"), with("etcd\"", "consul\""), with("https://a:2379", "http://a:2379"),
        with("/volcrypt/", "volcrypt"), with("/etc/ca.pem", "ca.pem"), with("/etc/node.pem", ""),
        with("/etc/node-key.pem", ""), with("\"key\"", "\"clef\""), with("/etc/ca.pem", "/etc/\\u0007"),
        std::string(R"({"version":1,"engine":"embedded","prefix":"/v/"})")})
    refusal(errc::store_damaged, [&] { (void)parse_store_record(bad); });
}
