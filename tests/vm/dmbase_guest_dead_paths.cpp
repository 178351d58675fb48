// Mappings on paths that fail or hang. FAILURES.md E: longhorn#13467, a stale mapping on a dead path hangs the loop
// that handles all others. Runs inside of a machine, as root (dmbase_mapper.cpp starts it).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <future>
#include <thread>

#include "dmtarget/mapper.hpp"
#include "tests/vm/dmbase_guest.hpp"

using namespace volcrypt;
using namespace volcrypt::guest;
using namespace std::chrono_literals;

BOOST_FIXTURE_TEST_SUITE(dead_paths, Ground)

namespace {

// One direct read of the first 4 KiB: 0, or the errno.
int read_directly(const std::string& name) {
  Fd fd(::open(("/dev/mapper/" + name).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!fd) return errno;
  alignas(4096) std::array<char, 4096> block;
  return ::pread(fd.get(), block.data(), block.size(), 0) < 0 ? errno : 0;
}

std::future<int> read_in_background(const std::string& name) {
  return std::async(std::launch::async, [name] { return read_directly(name); });
}

void wait_until_gone(const std::string& name) {
  for (int look = 0; look < 100 && dm::find_mapping(name); ++look) std::this_thread::sleep_for(50ms);
  BOOST_TEST(!dm::find_mapping(name).has_value());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_mapping_on_a_failing_device_is_removed_when_its_user_has_seen_the_errors) {
  shell(
      "modprobe dm_flakey && dmsetup create below --table '0 16384 flakey /dev/ram0 0 0 60' && "
      "dmsetup create above --table '0 16384 linear /dev/mapper/below 0'");
  {
    Fd user = open_mapping("above", O_RDONLY);
    BOOST_TEST(read_directly("above") == EIO);
    BOOST_TEST((dm::remove_dead_mapping("above") == dm::Removal::deferred));
    BOOST_TEST(dm::find_mapping("above")->under.empty());  // its user holds the dead device no more
    BOOST_TEST((dm::remove_mapping("below") == dm::Removal::removed));
  }
  wait_until_gone("above");
}

BOOST_AUTO_TEST_CASE(an_unused_mapping_on_a_failing_device_goes_at_once) {
  shell(
      "modprobe dm_flakey && dmsetup create below --table '0 16384 flakey /dev/ram0 0 0 60' && "
      "dmsetup create above --table '0 16384 linear /dev/mapper/below 0'");
  BOOST_TEST((dm::remove_dead_mapping("above") == dm::Removal::removed));
}

BOOST_AUTO_TEST_CASE(io_that_waits_in_a_suspended_mapping_ends_with_an_error) {
  linear("one");
  dm::suspend("one");
  std::future<int> reader = read_in_background("one");
  BOOST_TEST((reader.wait_for(1s) == std::future_status::timeout));
  BOOST_TEST((dm::remove_dead_mapping("one") != dm::Removal::was_absent));
  BOOST_TEST((reader.wait_for(10s) == std::future_status::ready));
  BOOST_TEST(reader.get() == EIO);
  wait_until_gone("one");
}

BOOST_AUTO_TEST_CASE(a_half_made_mapping_is_removed_too) {
  shell("dmsetup create half --notable");
  BOOST_TEST((dm::remove_dead_mapping("half") == dm::Removal::removed));
}

// The kernel then takes the mapping down while its table is being swapped, and refuses a step of that in its own ways.
BOOST_AUTO_TEST_CASE(a_last_user_that_lets_go_at_any_moment_of_the_removal_is_no_error) {
  for (int round = 0; round < 24; ++round) {
    linear("one");
    Fd user = open_mapping("one");
    auto removal = std::async(std::launch::async, [] { return dm::remove_dead_mapping("one"); });
    std::this_thread::sleep_for(round * 2ms);
    user = Fd();
    BOOST_CHECK_NO_THROW(removal.get());
    wait_until_gone("one");
  }
}

// The device below neither answers nor refuses: nothing can take that I/O back. It must hold up nobody else.
BOOST_AUTO_TEST_CASE(a_removal_that_hangs_on_a_dead_device_holds_up_no_other_mapping) {
  linear("below");
  shell("dmsetup create above --table '0 16384 linear /dev/mapper/below 0' && dmsetup create other --table '0 8 zero'");
  dm::suspend("below");
  std::future<int> reader = read_in_background("above");
  BOOST_TEST((reader.wait_for(500ms) == std::future_status::timeout));
  auto removal = std::async(std::launch::async, [] { return dm::remove_dead_mapping("above"); });
  BOOST_TEST((removal.wait_for(1s) == std::future_status::timeout));

  BOOST_TEST(dm::list_mappings().size() == 3U);
  dm::suspend("other");
  dm::resume("other");
  BOOST_TEST((dm::remove_mapping("other") == dm::Removal::removed));

  dm::resume("below");  // the device is back
  BOOST_TEST((removal.wait_for(20s) == std::future_status::ready));
  BOOST_TEST((reader.wait_for(20s) == std::future_status::ready));
  reader.get();
  removal.get();
  wait_until_gone("above");
}

BOOST_AUTO_TEST_SUITE_END()
