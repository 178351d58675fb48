// What a person sees while a verb takes its time, and how long volcryptctl waits for it.
#include <chrono>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/terminal.hpp"

namespace volcrypt {

namespace {

using test::Daemon;
using test::must_succeed;

struct OneVolume {
  Daemon daemon{"none", test::Drives::files};

  OneVolume() {
    test::make_enabled_cluster(daemon, "software");
    must_succeed(daemon.control({"create", "volume", "data1", "--device", daemon.plug("vdb")}));
  }
  std::vector<std::string> erasing() const {
    return {VOLCRYPT_CONTROL, "--socket", daemon.path("control.sock"), "delete", "volume", "data1", "--yes"};
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(agent_patience, OneVolume)

BOOST_AUTO_TEST_CASE(on_a_terminal_a_long_erase_says_what_goes_on_and_for_how_long) {
  daemon.hold("erase");
  tests::Terminal terminal(erasing());
  terminal.expect("erasing volume data1: 2 s");
  terminal.expect("erasing volume data1: 3 s");
  daemon.let_go("erase");
  terminal.expect("\r\033[K");  // drawn over
  terminal.expect("Volume data1 is erased.");
  BOOST_TEST(terminal.wait() == 0);
}

BOOST_AUTO_TEST_CASE(into_a_log_it_says_nothing_but_the_result) {
  daemon.hold("erase");
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // longer than a terminal would wait for its line
    daemon.let_go("erase");
  });
  const test::CommandResult result = daemon.control({"delete", "volume", "data1", "--yes"});
  later.join();
  must_succeed(result);
  BOOST_TEST(result.err == "");
  BOOST_TEST(result.out == "Volume data1 is erased.\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
