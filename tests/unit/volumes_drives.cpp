// Which drives get a line, and what it says; and which volumes `settle` still waits for.
#include <boost/test/unit_test.hpp>

#include "agent/volumes/drive_report.hpp"
#include "agent/volumes/settling.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

using namespace std::chrono_literals;

namespace {

DriveFacts blank() {
  DriveFacts drive;
  drive.device = "/dev/sdb";
  drive.kernel_name = "sdb";
  drive.sectors = 8192;
  return drive;
}

template <class Change>
bool looked_at(Change change) {
  DriveFacts drive = blank();
  change(drive);
  return is_worth_a_look(drive);
}

std::string error_of(const DriveFacts& drive, const boost::system::error_code& cause) {
  const auto report = report_on(drive, cause);
  return report ? report->error : "none";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_drives)

BOOST_AUTO_TEST_CASE(blank_drives_and_foreign_luks_are_looked_at) {
  BOOST_TEST(is_worth_a_look(blank()));
  BOOST_TEST(looked_at([](DriveFacts& drive) { drive.content = "crypto_LUKS"; }));
  BOOST_TEST(looked_at([](DriveFacts& drive) { drive.kernel_name = "nvme0n1"; }));
  BOOST_TEST(looked_at([](DriveFacts& drive) { drive.kernel_name = "sdaa"; }));
  BOOST_TEST(looked_at([](DriveFacts& drive) { drive.kernel_name = "mmcblk1"; }));
  BOOST_TEST(looked_at([](DriveFacts& drive) {
    drive.extent = Extent::partition;
    drive.content = "crypto_LUKS";
  }));
}

BOOST_AUTO_TEST_CASE(persistent_memory_is_a_drive) {
  for (const auto* name : {"pmem0", "pmem1s", "pmem0.1"})
    BOOST_TEST(looked_at([&](DriveFacts& drive) { drive.kernel_name = name; }), name);
}

BOOST_AUTO_TEST_CASE(what_is_no_drive_or_not_free_is_passed_over) {
  for (const auto* name : {"dm-0", "loop3", "ram1", "zram0", "sr0", "fd0", "nbd5", "mtdblock0", "mmcblk0boot1"})
    BOOST_TEST(!looked_at([&](DriveFacts& drive) { drive.kernel_name = name; }), name);
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.in_use = true; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.partition_table = "gpt"; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.content = "ext4"; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.content = "LVM2_member"; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.sectors = 0; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.optical = true; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.ready = false; }));
  BOOST_TEST(!looked_at([](DriveFacts& drive) { drive.extent = Extent::partition; }));  // BIOS boot, on the root drive
}

BOOST_AUTO_TEST_CASE(a_drive_that_udev_knows_as_ours_gets_its_line_from_attach) {
  BOOST_TEST(!looked_at([](DriveFacts& drive) {
    drive.content = "crypto_LUKS";
    drive.subsystem = "volcrypt";
  }));
}

BOOST_AUTO_TEST_CASE(the_line_names_what_was_found) {
  DriveFacts luks = blank();
  luks.content = "crypto_LUKS";
  BOOST_TEST(error_of(blank(), make_error_code(errc::device_all_zero)) == "not_ours");
  BOOST_TEST(report_on(blank(), make_error_code(errc::device_all_zero))->what.find("device_all_zero") !=
             std::string::npos);
  BOOST_TEST(report_on(luks, make_error_code(errc::not_ours))->what.find("LUKS") != std::string::npos);
  BOOST_TEST(report_on(blank(), make_error_code(errc::not_ours))->what.find("LUKS") == std::string::npos);
  BOOST_TEST(error_of(luks, make_error_code(errc::header_damaged)) == "header_damaged");
  BOOST_TEST(error_of(luks, make_error_code(errc::token_version)) == "token_version");
  BOOST_TEST(error_of(blank(), make_error_code(errc::timed_out)) == "timed_out");
  BOOST_TEST(report_on(blank(), errno_code(5))->what == "it cannot be read");
  BOOST_TEST(error_of(luks, {}) == "none");
}

BOOST_AUTO_TEST_CASE(attached_and_failed_volumes_end_the_wait_and_absent_ones_after_the_grace) {
  const auto settled = [](Condition condition, DetachedBy by,
                          std::optional<std::chrono::steady_clock::duration> quiet_for) {
    return is_settled(condition, by, quiet_for, 10s);
  };
  for (const Condition condition : {Condition::attached, Condition::failed})
    BOOST_TEST(settled(condition, DetachedBy::nobody, std::nullopt));
  BOOST_TEST(!settled(Condition::absent, DetachedBy::nobody, std::nullopt));
  BOOST_TEST(!settled(Condition::absent, DetachedBy::nobody, 9s));
  BOOST_TEST(settled(Condition::absent, DetachedBy::nobody, 10s));
  BOOST_TEST(settled(Condition::absent, DetachedBy::order, std::nullopt));
  BOOST_TEST(!settled(Condition::detached, DetachedBy::nobody, 1h));
  BOOST_TEST(settled(Condition::detached, DetachedBy::order, 1h));
  BOOST_TEST(!settled(Condition::unknown, DetachedBy::order, 1h));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
