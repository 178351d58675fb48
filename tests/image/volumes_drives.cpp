// Drives that are left alone: one line each, nothing written. And settling: what is waited for, and for how long.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/listening.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using namespace std::chrono_literals;
using test::kind_of;

namespace {

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Plugged : test::NodeFixture {
  test::Listening log{directory.path("log")};

  void appear(const std::string& file) { node->await(node->volumes.drive_appeared(devices->facts(file))); }
  std::string lone_line(const std::string& part) {
    const auto lines = log.lines(part);
    BOOST_TEST(lines.size() == 1U);
    return lines.empty() ? "" : lines.front();
  }
  void write(const std::string& file, int at, const std::string& bytes) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(at).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
};

bool holds(const std::string& line, const std::string& part) { return line.find(part) != std::string::npos; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_drives, Plugged)

BOOST_AUTO_TEST_CASE(a_blank_drive_gets_one_line_however_often_udev_tells_of_it) {
  const std::string device = drive("vdb");
  appear(device);
  appear(device);
  const std::string line = lone_line(device);
  BOOST_TEST(holds(line, "left alone"));
  BOOST_TEST(holds(line, "error=not_ours"));
  BOOST_TEST(holds(line, "device_all_zero"));
}

BOOST_AUTO_TEST_CASE(a_drive_gets_another_line_when_what_is_on_it_changed_and_when_it_was_plugged_in_anew) {
  const std::string device = drive("vdb");
  appear(device);
  write(device, 4096, "something");
  appear(device);
  BOOST_TEST(log.lines(device).size() == 2U);
  BOOST_TEST(holds(log.lines(device).back(), "unknown kind"));
  node->await(node->volumes.device_removed(device, devices->facts(device).number));
  appear(device);
  BOOST_TEST(log.lines(device).size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_drive_that_was_pulled_while_it_was_looked_at_gets_its_line_when_it_returns) {
  const std::string device = drive("vdb");
  const DriveFacts facts = devices->facts(device);
  devices->hang(device);
  bool looked = false;
  boost::asio::co_spawn(node->loop, node->volumes.drive_appeared(facts),
                        [&](const std::exception_ptr&) { looked = true; });
  for (; devices->hung() == 0; node->loop.restart()) node->loop.poll();
  node->await(node->volumes.device_removed(device, facts.number));
  devices->answer(device);
  node->loop.restart();
  while (!looked) node->loop.run_one();
  BOOST_TEST(log.lines(device).empty());
  appear(device);
  BOOST_TEST(holds(lone_line(device), "error=not_ours"));
}

BOOST_AUTO_TEST_CASE(drives_that_are_there_at_start_get_their_lines_and_ours_get_none) {
  const std::string ours = drive("vdb");
  node->create("data1", ours);
  restart();
  const std::string blank = drive("vdc");
  node->await(node->volumes.start());
  BOOST_TEST(log.lines("left alone").size() == 1U);
  BOOST_TEST(holds(lone_line("left alone"), blank));
}

BOOST_AUTO_TEST_CASE(drives_whose_coming_was_not_heard_get_their_lines) {
  const std::string device = drive("vdb");
  node->await(node->volumes.news_were_missed());
  BOOST_TEST(holds(lone_line(device), "error=not_ours"));
}

BOOST_AUTO_TEST_CASE(a_damaged_copy_of_a_header_is_not_repaired_by_a_look) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  write(device, 64, "damage");
  const std::string before = content(device);
  DriveFacts facts = devices->facts(device);
  facts.subsystem.clear();  // udev saw the damaged copy
  devices->look(device);
  node->await(node->volumes.drive_appeared(facts));
  BOOST_TEST((content(device) == before));
}

BOOST_AUTO_TEST_CASE(a_drive_that_cannot_be_read_is_named_as_that) {
  const std::string device = drive("vdb");
  const DriveFacts facts = devices->facts(device);
  devices->break_down(device);
  node->await(node->volumes.drive_appeared(facts));
  BOOST_TEST(holds(lone_line(device), "error=device_unreadable"));
}

BOOST_AUTO_TEST_CASE(an_absent_drive_is_waited_for_until_udev_was_quiet_for_the_grace_and_no_longer) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  devices->unplug(device);
  reboot();
  const Settlement early = node->await(node->volumes.settle(300ms, 0ms));  // before the first scan nothing is known
  BOOST_TEST(!early.settled);
  BOOST_TEST(early.missing.size() == 1U);
  node->await(node->volumes.start());
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(node->await(node->volumes.settle(30s, 600ms)).settled);
  const auto took = std::chrono::steady_clock::now() - begin;
  BOOST_TEST((took >= 300ms));
  BOOST_TEST((took < 10s));
  BOOST_TEST(node->await(node->volumes.settle(0s, 600ms)).settled);  // later on, nobody waits again
  devices->be_busy(true);
  BOOST_TEST(!node->await(node->volumes.settle(700ms, 600ms)).settled);
}

BOOST_AUTO_TEST_CASE(a_drive_whose_header_cannot_be_read_fails_visibly_and_is_not_waited_for) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  reboot();
  devices->before = [&](std::string_view call) {
    if (call == "look") throw Error(errc::device_unreadable, {"read", device, ""});
  };
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::failed));
  BOOST_TEST(node->await(node->volumes.get("data1")).failure_kind == "device_unreadable");
  BOOST_TEST(node->await(node->volumes.settle(0s)).settled);
  BOOST_TEST(log.lines("cannot attach").size() == 1U);
  node->await(node->volumes.attach_missing());
  BOOST_TEST(log.lines("cannot attach").size() == 1U);
  devices->before = nullptr;
  node->await(node->volumes.attach_missing());
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(two_copies_at_boot_fail_visibly_and_are_not_waited_for) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  reboot();
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::failed));
  BOOST_TEST(node->await(node->volumes.get("data1")).failure_kind == "duplicate_volume");
  BOOST_TEST(node->await(node->volumes.settle(0s)).settled);
  BOOST_TEST(log.lines("error=duplicate_volume").size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_drive_of_another_cluster_is_complained_of_once_however_often_the_agent_tries) {
  test::NodeFixture others;
  const std::string device = others.drive("vdb");
  others.node->create("theirs", device);
  devices->plug(device);
  node->await(node->volumes.start());
  node->await(node->volumes.attach_missing());
  BOOST_TEST(log.lines("error=wrong_cluster").size() == 1U);
  BOOST_TEST(holds(lone_line("error=wrong_cluster"), device));
  node->await(node->volumes.device_removed(device, devices->facts(device).number));
  node->await(node->volumes.attach_missing());
  BOOST_TEST(log.lines("error=wrong_cluster").size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_copy_beside_an_attached_drive_does_not_make_the_volume_fail) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach_device(copy)); }) == "duplicate_volume");
  devices->unplug(copy);
  node->await(node->volumes.detach("data1"));
  BOOST_TEST((condition("data1") == Condition::detached));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
