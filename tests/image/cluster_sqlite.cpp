// The embedded store on a real file: the conformance suite, death by kill -9 in the middle of commits, damaged,
// foreign, lost and unwritable files. What a damaged file holds must be the same after the refusal as before it.
#define BOOST_TEST_DYN_LINK
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <random>

#include "agent/cluster/sqlite_store.hpp"
#include "tests/support/await.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/store_conformance.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using tests::refusal;
namespace fs = std::filesystem;

namespace {

struct File {
  tests::TemporaryDirectory directory;
  fs::path path = directory.path() / "store.db";

  SqliteDatabase open() const { return SqliteDatabase(path, &std::chrono::system_clock::now); }
  std::string content(const char* suffix = "") const {
    std::ifstream stream(path.string() + suffix, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  bool holds(const std::string& text) const {
    return content().find(text) != std::string::npos || content("-wal").find(text) != std::string::npos;
  }
  void replace(const std::string& content) const {
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream << content;
  }
};

const std::string wrapped_key = "a wrapped key that must go";

Transaction put(const std::string& key, const std::string& value) {
  Transaction transaction;
  transaction.then.emplace_back(Put{key, value});
  return transaction;
}

// Two keys that every transaction changes together, and a large value so that a commit is many writes.
Transaction step(std::uint64_t number) {
  auto transaction = put("a", std::to_string(number));
  transaction.then.emplace_back(Put{"b", std::to_string(number)});
  transaction.then.emplace_back(Put{"large", std::string(30'000 + number % 7, static_cast<char>('a' + number % 26))});
  return transaction;
}

std::uint64_t number_in(SqliteDatabase& database, const char* key) {
  const auto entry = database.get(key);
  return entry ? std::stoull(entry->value) : 0;
}

// Commits as fast as it can and tells each number, once it is durable, through the pipe. Never returns.
[[noreturn]] void commit_until_killed(const File& file, int pipe) {
  try {
    auto database = file.open();
    for (auto number = number_in(database, "a") + 1;; ++number) {
      if (!database.commit(step(number))) _exit(3);
      if (write(pipe, &number, sizeof number) != sizeof number) _exit(4);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  _exit(5);
}

std::uint64_t last_number(int pipe) {
  std::uint64_t last = 0, number = 0;
  while (read(pipe, &number, sizeof number) == sizeof number) last = number;
  return last;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_store_on_sqlite_keeps_every_promise_of_a_store) {
  std::vector<std::unique_ptr<File>> files;
  const auto make = [&] {
    files.push_back(std::make_unique<File>());
    auto now = std::make_shared<std::chrono::system_clock::time_point>(std::chrono::system_clock::now());
    SqliteStore::Options options{files.back()->path};
    options.now = [now] { return *now; };
    test::StoreUnderTest made;
    made.store = std::make_unique<SqliteStore>(std::move(options));
    made.pass_time = [now](std::chrono::seconds time) { *now += time; };
    return made;
  };
  test::check_store_conformance(make);
  test::check_store_whose_clock_is_set_back(make);
}

BOOST_FIXTURE_TEST_CASE(what_was_committed_is_there_after_reopening_and_the_file_is_private, File) {
  Revision revision = 0;
  {
    auto database = open();
    revision = database.commit(step(1))->revision;
  }
  struct stat facts {};
  BOOST_REQUIRE(stat(path.c_str(), &facts) == 0);
  BOOST_TEST((facts.st_mode & 07777) == 0600u);
  auto database = open();
  BOOST_TEST(database.get("a")->value == "1");
  BOOST_TEST(database.get("a")->modified == revision);
  BOOST_TEST(database.revision() == revision);
}

BOOST_FIXTURE_TEST_CASE(a_second_process_is_told_that_the_store_is_in_use, File) {
  auto database = open();
  database.commit(step(1));
  const auto child = fork();
  if (child == 0) {
    try {
      auto second = open();
    } catch (const Error& error) {
      _exit(error.code() == errc::device_busy ? 42 : 1);
    }
    _exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WEXITSTATUS(status) == 42);
}

BOOST_FIXTURE_TEST_CASE(an_agent_killed_in_the_middle_of_commits_loses_nothing_that_it_was_told_is_durable, File) {
  std::minstd_rand random(7);
  std::uint64_t known = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    BOOST_REQUIRE(pipe(ends) == 0);
    const auto child = fork();
    if (child == 0) {
      close(ends[0]);
      commit_until_killed(*this, ends[1]);
    }
    close(ends[1]);
    // Every second child has made at least one commit, however slow the disk; the others may die at their very first
    // step.
    if (round % 2 == 0) {
      pollfd word{ends[0], POLLIN, 0};
      BOOST_REQUIRE(poll(&word, 1, 20'000) == 1);
    }
    usleep(20'000 + static_cast<useconds_t>(random() % 60'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_REQUIRE(WIFSIGNALED(status));
    known = std::max(known, last_number(ends[0]));
    close(ends[0]);
    if (!fs::exists(path)) continue;  // killed before the file was whole: there is none
    auto database = open();
    const auto a = number_in(database, "a");
    BOOST_TEST(a >= known);  // one more may be durable without having been told
    BOOST_TEST(a <= known + 1);
    BOOST_TEST(number_in(database, "b") == a);
    known = a;
  }
  BOOST_TEST(known >= 13u);
}

BOOST_FIXTURE_TEST_CASE(a_file_damaged_anywhere_is_refused_or_whole_and_never_written_to, File) {
  {
    auto database = open();
    for (int i = 0; i < 300; ++i) database.commit(put("volume/" + std::to_string(i), "x"));
  }
  const auto good = content();
  std::minstd_rand random(3);
  std::size_t refused = 0;
  for (int i = 0; i < 60; ++i) {
    auto bad = good;
    const auto at = random() % bad.size();
    for (std::size_t j = at; j < std::min(bad.size(), at + 64); ++j) bad[j] = static_cast<char>(random());
    replace(bad);
    try {
      auto database = open();
    } catch (const Error& error) {
      ++refused;
      BOOST_TEST((error.code() == errc::store_damaged || error.code() == errc::token_version), error.what());
      BOOST_TEST((content() == bad), "a damaged file was changed");
    }
    fs::remove(path.string() + "-wal");
  }
  BOOST_TEST(refused > 5u);  // SQLite checks structure, not the bytes of values
}

BOOST_FIXTURE_TEST_CASE(an_empty_a_foreign_and_a_cut_file_are_not_taken_for_a_new_store, File) {
  { auto database = open(); }
  const auto good = content();
  for (const auto& bad : {std::string(), std::string("SQLite format 3"), std::string(8192, '\0'),
                          std::string(9000, 'x'), good.substr(0, good.size() / 2)}) {
    replace(bad);
    const auto text = refusal(errc::store_damaged, [&] { open(); });
    BOOST_TEST(text.find("left as it is") != std::string::npos, text);
    BOOST_TEST((content() == bad));
  }
}

BOOST_FIXTURE_TEST_CASE(a_journal_without_its_file_is_not_taken_for_a_new_store, File) {
  std::ofstream(path.string() + "-wal") << "left behind";
  refusal(errc::store_damaged, [&] { open(); });
  BOOST_TEST(!fs::exists(path));
}

BOOST_FIXTURE_TEST_CASE(a_half_made_file_of_a_crash_is_made_anew, File) {
  std::ofstream(path.string() + ".new") << "half";
  auto database = open();
  BOOST_TEST(database.commit(step(1)).has_value());
  BOOST_TEST(!fs::exists(path.string() + ".new"));
}

BOOST_FIXTURE_TEST_CASE(a_symbolic_link_is_not_followed, File) {
  const auto target = directory.path() / "other.db";
  { SqliteDatabase database(target, &std::chrono::system_clock::now); }
  fs::create_symlink(target, path);
  BOOST_CHECK_THROW(open(), Error);
}

// EFBIG stands in for a full disk here: the kernel refuses the write that would grow the journal.
BOOST_FIXTURE_TEST_CASE(a_disk_that_takes_no_more_gives_an_error_and_the_old_state, File) {
  auto database = open();
  BOOST_REQUIRE(database.commit(step(1)).has_value());
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{200'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  std::uint64_t number = 2;
  bool failed = false;
  for (; number < 60 && !failed; ++number) {
    try {
      database.commit(step(number));
    } catch (const Error& error) {
      failed = true;
      BOOST_TEST_MESSAGE(error.what());
    }
  }
  setrlimit(RLIMIT_FSIZE, &before);
  BOOST_REQUIRE(failed);
  const auto a = number_in(database, "a");
  BOOST_TEST((a == number - 1 || a == number - 2));  // the failed one, or the one before it
  BOOST_TEST(number_in(database, "b") == a);
  BOOST_TEST(database.commit(step(a + 1)).has_value());
  BOOST_TEST(number_in(database, "b") == a + 1);
}

BOOST_FIXTURE_TEST_CASE(an_erased_value_leaves_the_file_while_it_is_in_use, File) {
  auto database = open();
  database.commit(put("header/x", wrapped_key));
  BOOST_TEST(holds(wrapped_key));
  Transaction gone;
  gone.then.emplace_back(Delete{"header/x"});
  database.commit(gone);
  BOOST_TEST(!holds(wrapped_key));
}

BOOST_FIXTURE_TEST_CASE(what_a_killed_process_left_of_an_old_value_goes_at_the_next_start, File) {
  const pid_t child = fork();
  if (child == 0) {
    auto database = open();
    database.commit(put("header/x", wrapped_key));
    database.commit(put("header/x", "its successor"));
    std::_Exit(0);
  }
  int status = -1;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(status == 0);
  BOOST_TEST(holds(wrapped_key));
  auto database = open();
  BOOST_TEST(!holds(wrapped_key));
  BOOST_TEST(database.get("header/x")->value == "its successor");
}
