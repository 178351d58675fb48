// The one turn in libdevmapper and libcryptsetup: waited for, but not for ever when udev hangs.
#include "dmtarget/library_turn.hpp"

#include <boost/test/unit_test.hpp>
#include <future>
#include <optional>
#include <thread>

#include "dmtarget/error.hpp"

namespace volcrypt::dm {

using namespace std::chrono_literals;

namespace {

// Another thread that has the turn until it is told to end; in its activation when it waits for udev.
class Holder {
 public:
  enum class Doing { something, waiting_for_udev };
  explicit Holder(Doing doing) : thread_([this, doing] { hold(doing); }) { holds_.get_future().wait(); }
  ~Holder() { end(); }
  void end() {
    if (!thread_.joinable()) return;
    over_.set_value();
    thread_.join();
  }

 private:
  void hold(Doing doing) {
    const LibraryTurn turn;
    std::optional<UdevWait> wait;
    if (doing == Doing::waiting_for_udev) wait.emplace("data1");
    holds_.set_value();
    over_.get_future().wait();
  }
  std::promise<void> holds_, over_;
  std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(dmbase_library_turn)

BOOST_AUTO_TEST_CASE(who_waits_behind_a_hanging_udev_is_told_so_and_who_it_is) {
  Holder holder(Holder::Doing::waiting_for_udev);
  BOOST_CHECK_EXCEPTION(LibraryTurn turn(50ms), Error, [](const Error& error) {
    BOOST_TEST(std::string(error.what()).find("udev does not answer: the attach of data1") != std::string::npos);
    return error.code() == errc::timed_out;
  });
  holder.end();
  const LibraryTurn turn(50ms);  // and the turn is free again afterwards
}

BOOST_AUTO_TEST_CASE(a_turn_that_is_merely_taken_is_waited_for) {
  Holder holder(Holder::Doing::something);
  std::future<void> next = std::async(std::launch::async, [] { const LibraryTurn turn(50ms); });
  BOOST_TEST((next.wait_for(300ms) == std::future_status::timeout));
  holder.end();
  BOOST_CHECK_NO_THROW(next.get());
}

BOOST_AUTO_TEST_CASE(an_activation_that_ends_in_time_holds_up_nobody_for_longer) {
  Holder holder(Holder::Doing::waiting_for_udev);
  std::future<void> next = std::async(std::launch::async, [] { const LibraryTurn turn(30s); });
  BOOST_TEST((next.wait_for(100ms) == std::future_status::timeout));
  holder.end();
  BOOST_CHECK_NO_THROW(next.get());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::dm
