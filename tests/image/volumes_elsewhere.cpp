// Volumes that another node has, had or asks for: what this one answers, writes late, forgets and deletes.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "tests/support/neighbours.hpp"
#include "tests/support/refusal.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using tests::refusal;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_elsewhere, test::MovedDrive)

// The old owner is in the middle of a rewrap, cut off from who takes over: what it writes late takes nothing back.
BOOST_AUTO_TEST_CASE(what_the_old_owner_writes_late_is_refused) {
  node->make_current(2);
  second_drives->plug(device);
  neighbours.silent = {first_id()};
  bool taken = false;
  devices->before = [&](std::string_view call) {
    if (call != "verify_key" || std::exchange(taken, true)) return;
    asio::co_spawn(node->loop, other().attach("data1", TakeOver::by_order), asio::use_future).get();
  };
  const cluster::RewrapProgress progress = at(first().rewrap_all(2));
  devices->before = nullptr;
  BOOST_TEST(taken);
  BOOST_REQUIRE_EQUAL(progress.failures.size(), 1U);
  BOOST_TEST(holds(progress.failures.front(), "has taken it over"), progress.failures.front());
  BOOST_TEST((owner() == second_id));
}

BOOST_AUTO_TEST_CASE(what_was_said_to_be_gone_is_not_attached_for_a_while_unless_by_order) {
  pull();
  BOOST_TEST((at(first().holds(volume)) == Holding::gone));
  devices->plug(device);
  BOOST_TEST(plugged_in(first()) == "timed_out");
  BOOST_TEST((at(first().holds(volume)) == Holding::visible));
  BOOST_TEST((at(first().attach("data1", TakeOver::by_order)).changed == dm::Changed::yes));
  BOOST_TEST((at(first().holds(volume)) == Holding::mapped));
}

BOOST_AUTO_TEST_CASE(a_node_that_cannot_look_does_not_say_gone) {
  pull();
  devices->before = [](std::string_view call) {
    if (call == "scan") throw Error(errc::timed_out, {"ask udev", "for volumes", ""});
  };
  BOOST_TEST(kind_of([&] { at(first().holds(volume)); }) == "timed_out");
  devices->before = nullptr;
  devices->plug(device);
  devices->break_down(device);  // udev lost its label, and who knows what it carries
  BOOST_TEST(kind_of([&] { at(first().holds(volume)); }) == "device_unreadable");
  devices->unplug(device);
  BOOST_TEST((at(first().holds(volume)) == Holding::gone));
}

BOOST_AUTO_TEST_CASE(another_nodes_volume_is_forgotten_only_when_that_node_was_removed_and_deleted_never) {
  move();
  BOOST_TEST(kind_of([&] { at(other().erase("data1")); }) == "wrong_state");
  second_drives->unplug(device);
  const auto text = refusal(errc::wrong_state, [&] { at(other().forget("data1")); });
  BOOST_TEST(holds(text, "node1"), text);
  neighbours.removed = {first_id()};
  second_drives->plug(device);
  BOOST_TEST(kind_of([&] { at(other().forget("data1")); }) == "wrong_state");  // it is here
  second_drives->unplug(device);
  BOOST_TEST((at(other().forget("data1")) == dm::Changed::yes));
  BOOST_TEST(at(other().list()).empty());
}

BOOST_AUTO_TEST_CASE(a_node_that_is_silent_is_asked_once_for_all_its_drives) {
  std::vector<std::string> drives = {device};
  for (const std::string name : {"vdc", "vdd", "vde"}) {
    drives.push_back(drive(name));
    node->create("of-" + name, drives.back());
    at(first().detach("of-" + name));
  }
  pull();
  for (const std::string& each : drives) {
    devices->unplug(each);
    second_drives->plug(each);
  }
  neighbours.silent = {first_id()};
  at(other().attach_missing());
  BOOST_TEST(neighbours.asked == 1U);
  neighbours.silent.clear();
  at(other().attach_missing());
  BOOST_TEST(second_drives->mapped() == drives.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
