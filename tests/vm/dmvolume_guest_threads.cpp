// Several workers at once: libdevmapper and libcryptsetup are used by one at a time, and nobody notices. Runs inside of
// a machine, as root (dmvolume_volume.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <thread>

#include "tests/vm/dmvolume_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using dm::Changed;

namespace {

constexpr std::chrono::seconds duration{20};

// One worker's drive: every verb, over and over. What went wrong, in words; test macros are for the main thread.
struct Worker {
  explicit Worker(const std::string& serial) : volume(serial, "on-" + serial), token(volume.token) {}

  void demand(bool holds, const char* what) {
    if (!holds) failures += std::string(what) + "; ";
  }

  void round() {
    const std::string& name = token.name;
    demand(volume.attach() == Changed::yes, "attach");
    demand(volume.attach() == Changed::no, "attach again");
    const auto mapping = dm::find_mapping(name);
    demand(mapping && dm::is_mapping_of(mapping->uuid, token.volume), "find");
    demand(dm::table_of(name).find(token.volume.str()) != std::string::npos, "table");
    token = test::rewrapped(token);
    demand(dm::rewrap(volume.device, token) == Changed::yes, "rewrap");
    dm::suspend(name);
    dm::resume(name);
    dm::LuksHeader header = dm::LuksHeader::open(volume.device);
    demand(header.token() == token, "token");
    header.verify_volume_key(volume.key);
    demand(dm::detach(name) == Changed::yes, "detach");
    demand(!dm::find_mapping(name), "gone");
  }

  void run(std::chrono::steady_clock::time_point end) {
    try {
      for (; std::chrono::steady_clock::now() < end && failures.empty(); ++rounds) round();
    } catch (const std::exception& error) {
      failures += error.what();
    }
  }

  Volume volume;
  dm::Token token;
  int rounds = 0;
  std::string failures;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volume_threads, Drives)

BOOST_AUTO_TEST_CASE(volumes_of_four_threads_do_not_disturb_each_other) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (const char* serial : serials) workers.push_back(std::make_unique<Worker>(serial));
  std::atomic<bool> done = false;
  int lists = 0;
  std::string observer_failure;
  std::thread observer([&] {
    try {
      for (; !done; ++lists)
        if (dm::list_mappings().size() > workers.size()) observer_failure = "too many mappings";
    } catch (const std::exception& error) {
      observer_failure = error.what();
    }
  });
  const auto end = std::chrono::steady_clock::now() + duration;
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&worker, end] { worker->run(end); });
  for (std::thread& thread : threads) thread.join();
  done = true;
  observer.join();
  for (const auto& worker : workers) {
    BOOST_TEST(worker->failures == "");
    BOOST_TEST(worker->rounds >= 2);
    BOOST_TEST_MESSAGE(worker->volume.device << ": " << worker->rounds << " rounds");
  }
  BOOST_TEST(observer_failure == "");
  BOOST_TEST_MESSAGE(lists << " lists of all mappings");
}

BOOST_AUTO_TEST_SUITE_END()
