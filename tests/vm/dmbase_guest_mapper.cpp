// Live mappings on a real kernel with udev: what is listed, changed, renamed, removed, and what is never shown.
// Runs inside of a machine, as root (dmbase_mapper.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <keyutils.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <thread>

#include "dmtarget/mapper.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/secret.hpp"
#include "dmtarget/table.hpp"
#include "dmtarget/task.hpp"
#include "tests/support/memory_search.hpp"
#include "tests/support/refusal.hpp"
#include "tests/vm/dmbase_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using volcrypt::tests::refusal;

BOOST_FIXTURE_TEST_SUITE(mapper, Ground)

namespace {

int errno_of(void (*call)()) {
  try {
    call();
    return 0;
  } catch (const Error& error) {
    return error.code().value();
  }
}

// A crypt mapping of 8 MiB whose key is in the session keyring, as table.hpp writes it.
dm::CryptTarget crypt_on_memory_disk(const std::string& description) {
  Secret key = Secret::random(volume_key_size);
  BOOST_REQUIRE(::add_key("logon", description.c_str(), key.data(), key.size(), KEY_SPEC_SESSION_KEYRING) >= 0);
  dm::CryptTarget target;
  target.sectors = 16384;
  target.key.description = description;
  target.device = "1:0";
  target.offset = 8;
  return target;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_mapping_is_found_with_all_its_facts) {
  shell("dmsetup create one --uuid CRYPT-TEST-1 --table '0 16384 linear /dev/ram0 8'");
  auto mapping = dm::find_mapping("one");
  BOOST_REQUIRE(mapping.has_value());
  BOOST_TEST(mapping->name == "one");
  BOOST_TEST(mapping->uuid == "CRYPT-TEST-1");
  BOOST_TEST((mapping->liveness == dm::Liveness::active));
  BOOST_TEST(mapping->has_table);
  BOOST_TEST(mapping->sectors == 16384U);
  BOOST_TEST(mapping->open_count == 0U);
  BOOST_TEST(mapping->under == std::vector<dev_t>{device_of("/dev/ram0")});
  BOOST_TEST(mapping->device == device_of("/dev/mapper/one"));
  Fd user = open_mapping("one");
  BOOST_TEST(dm::find_mapping("one")->open_count == 1U);
}

BOOST_AUTO_TEST_CASE(a_mapping_that_is_not_there_is_certainly_absent) {
  BOOST_TEST(!dm::find_mapping("nothing").has_value());
  BOOST_TEST(dm::list_mappings().empty());
  BOOST_TEST((dm::remove_mapping("nothing") == dm::Removal::was_absent));
  BOOST_TEST((dm::remove_dead_mapping("nothing") == dm::Removal::was_absent));
  BOOST_TEST(errno_of([] { dm::resume("nothing"); }) == ENXIO);
  BOOST_TEST(errno_of([] { dm::suspend("nothing"); }) == ENXIO);
  BOOST_TEST(errno_of([] { dm::table_of("nothing"); }) == ENXIO);
  BOOST_TEST(errno_of([] { dm::rename("nothing", "something"); }) == ENXIO);
}

BOOST_AUTO_TEST_CASE(all_mappings_of_the_machine_are_listed_with_half_made_ones) {
  linear("one");
  shell("dmsetup create half --notable");
  shell("dmsetup create 'odd name' --table '0 8 zero'");
  auto mappings = dm::list_mappings();
  BOOST_REQUIRE(mappings.size() == 3U);
  for (const dm::Mapping& mapping : mappings) {
    BOOST_TEST(mapping.has_table == (mapping.name != "half"));
    BOOST_TEST(mapping.liveness.has_value());
  }
  BOOST_TEST((dm::remove_mapping("half") == dm::Removal::removed));
  BOOST_TEST((dm::remove_mapping("odd name") == dm::Removal::removed));
  BOOST_TEST(dm::list_mappings().size() == 1U);
}

BOOST_AUTO_TEST_CASE(suspend_and_resume_are_seen_and_idempotent) {
  linear("one");
  for (int twice = 0; twice < 2; ++twice) {
    dm::suspend("one");
    BOOST_TEST((dm::find_mapping("one")->liveness == dm::Liveness::suspended));
  }
  for (int twice = 0; twice < 2; ++twice) {
    dm::resume("one");
    BOOST_TEST((dm::find_mapping("one")->liveness == dm::Liveness::active));
  }
}

BOOST_AUTO_TEST_CASE(a_renamed_mapping_has_its_new_name_in_dev_mapper_when_the_call_returns) {
  linear("one");
  dm::rename("one", "two");
  BOOST_TEST(!node_exists("one"));
  BOOST_TEST(node_exists("two"));
  BOOST_TEST(!dm::find_mapping("one").has_value());
  linear("one");
  refusal(errc::name_taken, [] { dm::rename("one", "two"); });
  refusal(errc::invalid_argument, [] { dm::rename("one", "control"); });
  refusal(errc::invalid_argument, [] { dm::rename("one", "a/b"); });
  BOOST_TEST(node_exists("one"));
}

BOOST_AUTO_TEST_CASE(a_removed_mapping_has_left_dev_mapper_when_the_call_returns) {
  linear("one");
  BOOST_TEST(node_exists("one"));
  BOOST_TEST((dm::remove_mapping("one") == dm::Removal::removed));
  BOOST_TEST(!node_exists("one"));
  BOOST_TEST((dm::remove_mapping("one") == dm::Removal::was_absent));
}

BOOST_AUTO_TEST_CASE(a_mapping_in_use_goes_with_its_last_user_and_keeps_its_name_until_then) {
  linear("one");
  {
    Fd user = open_mapping("one");
    BOOST_TEST((dm::remove_mapping("one") == dm::Removal::deferred));
    BOOST_TEST((dm::remove_mapping("one") == dm::Removal::deferred));
    BOOST_TEST(node_exists("one"));
    BOOST_TEST(dm::find_mapping("one").has_value());
    char byte = 0;
    BOOST_TEST(::pread(user.get(), &byte, 1, 0) == 1);
  }
  shell("for i in $(seq 100); do dmsetup info one >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1");
  shell("udevadm settle");
  BOOST_TEST(!node_exists("one"));
}

BOOST_AUTO_TEST_CASE(the_table_of_a_crypt_mapping_is_the_line_that_was_loaded) {
  dm::CryptTarget target = crypt_on_memory_disk("volcrypt-test:0");
  for (auto workqueues : {dm::Workqueues::used, dm::Workqueues::bypassed}) {
    for (auto discards : {dm::Discards::refused, dm::Discards::passed_down}) {
      target.workqueues = workqueues;
      target.discards = discards;
      shell("dmsetup create crypt --table '" + dm::render(target) + "'");
      // The kernel states what follows from the sector size as an option of its own only when asked: the line is ours.
      BOOST_TEST(dm::table_of("crypt") == dm::render(target));
      BOOST_TEST((dm::parse_crypt(dm::table_of("crypt")) == target));
      BOOST_TEST((dm::remove_mapping("crypt") == dm::Removal::removed));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_key_in_a_foreign_table_is_neither_shown_nor_left_in_memory) {
  shell(
      "key=$(head -c 64 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'); printf %s $key >/run/foreign-key; "
      "dmsetup create foreign --table \"0 16384 crypt aes-xts-plain64 $key 0 /dev/ram0 0\"");
  std::string text = refusal(errc::unknown_outcome, [] { dm::table_of("foreign"); });
  dm::list_mappings();
  Secret key(128);
  Fd file(::open("/run/foreign-key", O_RDONLY | O_CLOEXEC));
  BOOST_REQUIRE(::read(file.get(), key.data(), key.size()) == 128);
  const tests::Needle needle("key", key.view());
  BOOST_TEST(needle.find_in_own_memory(key.view()).empty());
  std::string control(key.view().begin(), key.view().end());  // the search does find what is there
  BOOST_TEST(!needle.find_in_own_memory(key.view()).empty());
  BOOST_TEST(text.find(control.substr(0, 16)) == std::string::npos);
  shell("rm /run/foreign-key");
}

BOOST_AUTO_TEST_CASE(a_table_that_is_not_crypt_is_not_taken_for_a_volume) {
  linear("one");
  refusal(errc::unknown_outcome, [] { dm::table_of("one"); });
}

BOOST_AUTO_TEST_CASE(requests_from_many_threads_do_not_disturb_each_other) {
  constexpr int threads = 4, rounds = 10;
  std::array<std::string, threads> failures;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) linear("many" + std::to_string(i));
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([i, &failures] {
      const std::string name = "many" + std::to_string(i);
      try {
        for (int round = 0; round < rounds; ++round) {
          dm::suspend(name);
          if (dm::find_mapping(name)->liveness != dm::Liveness::suspended) failures[i] += "not suspended;";
          if (dm::list_mappings().size() != threads) failures[i] += "list;";
          dm::resume(name);
        }
      } catch (const std::exception& error) {
        failures[i] += error.what();
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  for (const std::string& failure : failures) BOOST_TEST(failure == "");
}

// A udev worker that was killed never completes its cookie.
BOOST_AUTO_TEST_CASE(a_udev_that_never_answers_holds_us_up_for_half_a_minute_at_most) {
  linear("one");
  shell("udevadm control --stop-exec-queue");
  auto start = std::chrono::steady_clock::now();
  BOOST_TEST((dm::remove_mapping("one") == dm::Removal::removed));
  auto waited = std::chrono::steady_clock::now() - start;
  BOOST_TEST(!cookies_are_open());
  shell("udevadm control --start-exec-queue && udevadm settle");
  BOOST_TEST((waited > std::chrono::seconds(29) && waited < std::chrono::seconds(40)));
  BOOST_TEST(!node_exists("one"));
}

BOOST_AUTO_TEST_SUITE_END()
