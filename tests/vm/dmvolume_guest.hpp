// The ground on which the guest's tests of volumes stand: the machine's drives, blank before each test, and volumes on
// them. Runs inside of a machine only, as root.
#pragma once

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "dmtarget/block_file.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/volume.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/volume_image.hpp"
#include "tests/vm/dmbase_guest.hpp"

namespace volcrypt::guest {

using tests::refusal;

// The drives that dmvolume_volume.cpp plugs: 64 MiB each; "wide" has blocks of 4096 bytes, "odd" has 512 bytes more.
inline std::string drive(const std::string& serial) { return "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_" + serial; }
inline constexpr const char* serials[] = {"one", "two", "wide", "odd"};

inline std::string kernel_name(const std::string& device) {
  return std::filesystem::canonical(device).filename().string();
}

inline std::string word_in(const std::string& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

// Write requests that the drive has seen since it was plugged: Linux Documentation/block/stat.rst, field 5. A flush is
// field 16.
inline std::string writes_to(const std::string& device) {
  std::ifstream file("/sys/class/block/" + kernel_name(device) + "/stat");
  const std::vector<std::string> fields{std::istream_iterator<std::string>(file), {}};
  return fields.at(4) + " writes, " + fields.at(15) + " flushes";
}

// Keys of volumes in any keyring of the machine; a key that was invalidated is collected some moments later.
inline std::string keys_in_kernel() {
  std::string found;
  std::ifstream keys("/proc/keys");
  for (std::string line; std::getline(keys, line);)
    if (line.find("cryptsetup:") != std::string::npos) found += line + '\n';
  return found;
}
inline bool no_key_is_left() {
  for (int look = 0; look < 50 && !keys_in_kernel().empty(); ++look)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return keys_in_kernel().empty();
}

inline std::string table(const std::string& name) { return output_of("dmsetup table --showkeys " + name); }

// All four drives plugged and blank; at the end no mapping, cookie or key is left.
struct Drives {
  Drives() {
    shell("modprobe dm_crypt && udevadm settle");
    clear();
    std::string commands;
    for (const char* serial : serials) {
      commands += "blockdev --setrw " + drive(serial) + " && blkdiscard -f " + drive(serial) + " 2>/dev/null && ";
      commands += "echo 0 > /sys/class/block/" + kernel_name(drive(serial)) + "/queue/rotational && ";
    }
    shell(commands + "udevadm settle");
  }
  ~Drives() {
    BOOST_TEST(!cookies_are_open());
    BOOST_TEST(no_key_is_left(), keys_in_kernel());
    clear();
  }
  Drives(const Drives&) = delete;
  Drives& operator=(const Drives&) = delete;

  static void clear() {
    shell("umount /mnt 2>/dev/null; true");
    Ground::clear();
    for (const char* serial : serials) {
      if (device_of(drive(serial)) != 0) continue;
      shell("for h in /sys/class/scsi_host/host*/scan; do echo '- - -' > $h; done; udevadm settle");
      shell("for i in $(seq 100); do [ -b " + drive(serial) + " ] && exit 0; sleep 0.1; done; exit 1");
    }
  }
};

// A volume on a drive, made as an operator makes it: described by the device, but with a small data offset.
struct Volume {
  std::string device;
  dm::Token token;
  Secret key;

  explicit Volume(const std::string& serial, const std::string& name = "data",
                  dm::Discards discards = dm::Discards::refused, Secret with_key = Secret::random(volume_key_size))
      : device(drive(serial)), token(test::make_token(name)), key(std::move(with_key)) {
    token.description = dm::describe_device(device, discards);
    token.description.data_offset = test::image_data_offset;
    dm::create(device, token, key, dm::ExistingData::refuse);
  }
  std::string path() const { return dm::mapping_path(token.name); }
  dm::Changed attach() const { return dm::attach(device, dm::LuksHeader::open(device).token(), key); }
};

// 1 MiB that no encryption makes by accident.
inline Bytes pattern(std::uint8_t seed) {
  Bytes bytes(1 << 20);
  for (std::size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<std::uint8_t>(seed + at % 251);
  return bytes;
}

inline void put(const std::string& device, std::uint64_t offset, const Bytes& bytes) {
  dm::BlockFile file(device, dm::BlockFile::Access::write);
  file.write(offset, bytes);
  file.sync();
}

inline Bytes get(const std::string& device, std::uint64_t offset, std::size_t length = 1 << 20) {
  return dm::BlockFile(device, dm::BlockFile::Access::read).read(offset, length);
}

// Somebody edits the header of a drive on their desk, and sets the checksums right. `edit` works on a file.
template <class Edit>
void forge(const std::string& device, Edit edit) {
  const test::ScratchDirectory directory;
  const std::string file = directory.path("header");
  test::make_blank_image(file, dm::header_area_size);
  test::overwrite(file, 0, get(device, 0, dm::header_area_size));
  edit(file);
  put(device, 0, test::content_of(file));
}

}  // namespace volcrypt::guest
