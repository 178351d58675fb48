// The store in memory against the conformance suite: the tests that stand on it stand on what the real engines do.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/support/memory_store.hpp"
#include "tests/support/store_conformance.hpp"

using namespace volcrypt;

BOOST_AUTO_TEST_CASE(the_store_in_memory_keeps_every_promise_of_a_store) {
  const auto make = [] {
    auto now = std::make_shared<std::chrono::system_clock::time_point>(std::chrono::system_clock::now());
    test::StoreUnderTest made;
    made.store = std::make_unique<test::MemoryStore>([now] { return *now; });
    made.pass_time = [now](std::chrono::seconds time) { *now += time; };
    return made;
  };
  test::check_store_conformance(make);
  test::check_store_whose_clock_is_set_back(make);
}
