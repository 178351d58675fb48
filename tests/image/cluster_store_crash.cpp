// Fails and kills the store's program at every write, fsync, rename and truncation that it makes, also losing what was
// not flushed: what was told durable is there, both keys agree, and the next run works.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/sqlite_database.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/failpoints.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
namespace fs = std::filesystem;

namespace {

struct Place {
  tests::TemporaryDirectory directory;
  fs::path store = fs::canonical(directory.path()) / "store";
  fs::path told = fs::canonical(directory.path()) / "told";
  test::FailingProgram program{store.string(), {VOLCRYPT_STORE_SCENARIO, store.string(), told.string()}};

  Place() { fs::create_directory(store); }
  std::uint64_t told_durable() const { return fs::exists(told) ? fs::file_size(told) : 0; }
};

std::uint64_t number_in(SqliteDatabase& database, const char* key) {
  const auto entry = database.get(key);
  return entry ? std::stoull(entry->value) : 0;
}

// What the file holds, looked at with nothing failing.
std::uint64_t check(const Place& place) {
  if (!fs::exists(place.store / "store.db")) {
    BOOST_TEST(place.told_durable() == 0u);
    return 0;
  }
  SqliteDatabase database(place.store / "store.db", &std::chrono::system_clock::now);
  const auto a = number_in(database, "a");
  BOOST_TEST(number_in(database, "b") == a);
  BOOST_TEST(a >= place.told_durable());
  BOOST_TEST(a <= place.told_durable() + 1);  // one whose end nobody could tell
  return a;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_store_loses_nothing_when_it_fails_or_dies_at_any_step) {
  const Place whole;
  const auto steps = whole.program.count_steps();
  BOOST_TEST(check(whole) == 6u);
  BOOST_TEST(steps > 20);
  std::size_t errors = 0, deaths = 0;
  for (long at = 1; at <= steps; ++at) {
    for (const auto& failpoint : test::ways_to_fail(at)) {
      BOOST_TEST_CONTEXT(failpoint) {
        const Place place;
        const int status = place.program.run(failpoint);
        BOOST_TEST((status == 0 || status == 1 || status == test::crash_status), status);
        errors += status == 1 ? 1 : 0;
        deaths += status == test::crash_status ? 1 : 0;
        const auto held = check(place);
        fs::remove(place.told);
        BOOST_TEST(place.program.run({}) == 0);  // and it goes on from there
        SqliteDatabase database(place.store / "store.db", &std::chrono::system_clock::now);
        BOOST_TEST(number_in(database, "a") == held + 6);
      }
    }
  }
  BOOST_TEST(errors > 10u);
  BOOST_TEST(deaths > 10u);
}
