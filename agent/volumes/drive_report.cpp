// The judgements of drive_report.hpp.
#include "agent/volumes/drive_report.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

constexpr std::string_view luks = "crypto_LUKS";

// Devices that are nobody's drive, by the kernel's names for them (Documentation/admin-guide/devices.txt).
bool is_no_drive(std::string_view kernel_name) {
  static constexpr std::array<std::string_view, 8> prefixes{"dm-", "loop", "ram", "zram", "sr", "fd", "nbd", "mtd"};
  const bool known = std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
    return kernel_name.starts_with(prefix) && kernel_name.size() > prefix.size() && kernel_name[prefix.size()] >= '0' &&
           kernel_name[prefix.size()] <= '9';
  });
  // Hardware partitions of an eMMC chip ("mmcblk0boot1", "mmcblk0rpmb").
  return known || kernel_name.starts_with("mtdblock") ||
         (kernel_name.starts_with("mmcblk") &&
          (kernel_name.find("boot") != std::string_view::npos || kernel_name.find("rpmb") != std::string_view::npos));
}

}  // namespace

bool is_worth_a_look(const DriveFacts& drive) {
  if (is_no_drive(drive.kernel_name) || drive.optical || drive.sectors == 0) return false;
  if (drive.in_use || !drive.ready || !drive.partition_table.empty()) return false;
  if (drive.subsystem == dm::header_subsystem) return false;
  if (!drive.content.empty() && drive.content != luks) return false;
  return drive.extent == Extent::drive || drive.content == luks;
}

std::optional<DriveReport> report_on(const DriveFacts& drive, const boost::system::error_code& cause) {
  if (!cause) return std::nullopt;  // ours after all: udev is about to say so
  if (cause == errc::device_all_zero)
    return DriveReport{errc_name(errc::not_ours), "blank, or read as zeros (device_all_zero)"};
  if (cause == errc::not_ours)
    return DriveReport{errc_name(errc::not_ours),
                       drive.content == luks ? "LUKS without a volcrypt header" : "data of an unknown kind"};
  if (cause == errc::device_unreadable || cause == errc::timed_out || cause.category() != volcrypt_category())
    return DriveReport{errc_name(cause), "it cannot be read"};
  return DriveReport{errc_name(cause), "a volcrypt header that is not whole"};
}

}  // namespace volcrypt::volumes
