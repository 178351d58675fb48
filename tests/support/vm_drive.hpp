// A drive of a machine: a raw sparse file on the host, so that a test can search and damage it from outside. It belongs
// to no machine: it can be pulled from one and plugged into another. The file is removed with its WorkDirectory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace volcrypt::test {

struct DriveShape {
  std::uint64_t mebibytes = 64;
  unsigned logical_block_bytes = 512;
};

class Drive {
 public:
  // Makes the file, all zero. The serial is 1 to 20 letters or digits and names the drive everywhere.
  Drive(const std::filesystem::path& directory, std::string serial, DriveShape shape = {});
  // A byte for byte copy under another serial, as `dd` makes it.
  Drive(const Drive& original, std::string serial);

  const std::string& serial() const noexcept { return serial_; }
  const std::filesystem::path& file() const noexcept { return file_; }
  const DriveShape& shape() const noexcept { return shape_; }
  // The path inside of a machine; there while the drive is plugged.
  std::string node() const { return "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_" + serial_; }

  // Is this text anywhere on the drive? Reads what the machine has written so far (a running machine may hold more in
  // its cache).
  bool holds(std::string_view text) const;
  // Overwrites bytes from outside. Only while no machine has the drive.
  void damage(std::uint64_t offset, std::string_view bytes) const;

 private:
  std::string serial_;
  std::filesystem::path file_;
  DriveShape shape_;
};

}  // namespace volcrypt::test
