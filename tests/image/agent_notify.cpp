// What volcryptd tells the service manager, on a real NOTIFY_SOCKET: ready once it answers, a status that follows the
// volumes, the watchdog's beat as often as asked for, and its end.
#define BOOST_TEST_DYN_LINK
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "agent/http/client.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto patience = 60s;  // for a slow machine; nothing is waited for that long on another

class ServiceManager {
 public:
  explicit ServiceManager(std::chrono::microseconds watchdog) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = (directory_.path() / "notify").native();
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    if (watchdog > 0us) ::setenv("WATCHDOG_USEC", std::to_string(watchdog.count()).c_str(), 1);
    agent_ = std::make_unique<tests::Background>(
        std::vector<std::string>{VOLCRYPTD, "--tcti", "none", "--state-directory",
                                 (directory_.path() / "state").native(), "--socket", control(), "--socket-group", ""},
        (directory_.path() / "log").native());
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }

  std::string control() const { return (directory_.path() / "s").native(); }
  tests::Background& agent() { return *agent_; }

  // The next message that has `assignment`; those before it are passed over, and counted. False when it does not come
  // within `limit`.
  bool hears(std::string_view assignment, std::chrono::milliseconds limit = patience) {
    const auto end = Clock::now() + limit;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
      char buffer[4096];
      const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      const std::string message(buffer, static_cast<std::size_t>(count));
      BOOST_TEST_MESSAGE("heard: " << message);
      if (message.find(assignment) != std::string::npos) return true;
    }
  }

 private:
  tests::TemporaryDirectory directory_;
  Fd socket_;
  std::unique_ptr<tests::Background> agent_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_notify)

BOOST_AUTO_TEST_CASE(ready_comes_when_requests_are_answered_and_stopping_at_the_end) {
  ServiceManager manager(0us);
  BOOST_REQUIRE(manager.hears("READY=1"));
  const auto answer = http::Client(manager.control(), 5s).request(http::Method::get, "/v1/version", "", 30s);
  BOOST_TEST(answer.status == 200U);
  BOOST_TEST(manager.agent().stop(SIGTERM) == 0);
  BOOST_TEST(manager.hears("STOPPING=1"));
}

BOOST_AUTO_TEST_CASE(the_status_says_what_the_agent_is_at) {
  ServiceManager manager(0us);
  BOOST_TEST(manager.hears("STATUS=Attaching volumes"));
}

BOOST_AUTO_TEST_CASE(the_watchdog_is_fed_in_half_its_time_and_goes_hungry_when_the_loop_stands) {
  constexpr auto watchdog = 2s;
  ServiceManager manager(watchdog);
  const auto begin = Clock::now();
  for (int beat = 0; beat < 4; ++beat) BOOST_REQUIRE(manager.hears("WATCHDOG=1"));
  BOOST_TEST((Clock::now() - begin >= 2 * watchdog / 2), "as often as asked for, not in a storm");
  manager.agent().freeze();
  while (manager.hears("WATCHDOG=1", 100ms)) {  // what was on its way
  }
  BOOST_TEST(!manager.hears("WATCHDOG=1", 2 * watchdog));
  manager.agent().thaw();
  BOOST_TEST(manager.hears("WATCHDOG=1"));
}

BOOST_AUTO_TEST_CASE(without_a_watchdog_there_is_no_beat) {
  ServiceManager manager(0us);
  BOOST_REQUIRE(manager.hears("READY=1"));
  BOOST_TEST(!manager.hears("WATCHDOG=1", 3s));
}

BOOST_AUTO_TEST_SUITE_END()
