// The feed's word to those who wait for a change, also where a write failed and may have happened all the same.
#include "agent/cluster/change_feed.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <optional>

namespace volcrypt::cluster {

namespace {

struct Waiting {
  boost::asio::io_context loop;
  std::shared_ptr<ChangeFeed> feed = std::make_shared<ChangeFeed>(7);
  std::optional<Revision> woken;

  void wait_for(const std::string& prefix, Revision seen) {
    boost::asio::co_spawn(loop, ChangeFeed::wait(feed, prefix, seen),
                          [this](std::exception_ptr, Revision now) { woken = now; });
    turn();
  }
  void turn() {
    loop.restart();
    loop.poll();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(cluster_change_feed, Waiting)

BOOST_AUTO_TEST_CASE(a_change_under_the_prefix_wakes_and_another_does_not) {
  wait_for("encryption", 7);
  feed->publish(8, {"volume/data1"});
  turn();
  BOOST_TEST(!woken);
  feed->publish(9, {"encryption"});
  turn();
  BOOST_REQUIRE(woken);
  BOOST_TEST(*woken == 9U);
}

BOOST_AUTO_TEST_CASE(a_write_that_failed_and_happened_all_the_same_wakes_who_waits_for_it) {
  wait_for("encryption", 7);
  feed->doubt();
  BOOST_TEST(feed->in_doubt());
  turn();
  BOOST_TEST(!woken);  // nobody knows yet
  feed->catch_up(8);
  turn();
  BOOST_TEST(!feed->in_doubt());
  BOOST_REQUIRE(woken);
  BOOST_TEST(*woken == 8U);
}

BOOST_AUTO_TEST_CASE(a_write_that_failed_and_did_not_happen_wakes_nobody) {
  wait_for("encryption", 7);
  feed->doubt();
  feed->catch_up(7);
  turn();
  BOOST_TEST(!feed->in_doubt());
  BOOST_TEST(!woken);
  feed->publish(8, {"volume/data1"});  // nor after changes that others waited for
  feed->doubt();
  feed->catch_up(8);
  turn();
  BOOST_TEST(!woken);
  feed->publish(9, {"encryption"});  // and the wait goes on as before
  turn();
  BOOST_TEST(woken.has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::cluster
