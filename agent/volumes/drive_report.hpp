// Drive report: whether a drive that appeared deserves a line in the journal, and which: what it is, and why nothing is
// done. For drives that udev does not know as ours; those get their line from attach. Pure. Any thread.
#pragma once

#include <sys/types.h>

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace volcrypt::volumes {

enum class Extent { drive, partition };

// What udev and sysfs say of a block device, without touching it.
struct DriveFacts {
  std::string device;  // "/dev/sdb"
  dev_t number = 0;
  std::string kernel_name;  // "sdb", "dm-3"
  Extent extent = Extent::drive;
  std::uint64_t sectors = 0;    // 0: no medium
  std::string content;          // ID_FS_TYPE
  std::string subsystem;        // ID_FS_SUBSYSTEM, of LUKS2 alone
  std::string partition_table;  // ID_PART_TABLE_TYPE
  std::string identity;  // WWN and serial number, of a partition its start too; empty: nothing tells it from another
  bool optical = false;
  bool in_use = false;  // something stands on it: a mapping, an array
  bool ready = true;    // udev does not say that others should keep away
};

// A drive that somebody may have meant for a volume: no device-mapper, loop, memory, optical or floppy device, none in
// use, none with a file system, a partition table or our own header. Of partitions only those with LUKS: blank or
// unknown ones belong to the system's drive as a rule (BIOS boot).
bool is_worth_a_look(const DriveFacts& drive);

struct DriveReport {
  std::string error;  // errc_name: "not_ours", "header_damaged"...
  std::string what;   // a phrase
  bool operator==(const DriveReport&) const = default;
};

// `cause`: how the look at its header ended. Empty when there is nothing to say.
std::optional<DriveReport> report_on(const DriveFacts& drive, const boost::system::error_code& cause);

}  // namespace volcrypt::volumes
