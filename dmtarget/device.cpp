// What a device suggests for a volume on it, see describe_device in volume.hpp. Reads sysfs and ioctls, writes nothing.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "dmtarget/block_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/sysfs.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::uint64_t least_data = 1 << 20;  // bytes behind the data offset

// A partition has no queue of its own: its drive's is one directory up.
bool is_rotational(dev_t device) {
  const std::filesystem::path node = sysfs_directory(device);
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::canonical(node, ignored);
  for (const std::filesystem::path& place : {whole, whole.parent_path()}) {
    std::ifstream file(place / "queue/rotational");
    int value = 1;
    if (file >> value) return value != 0;
  }
  return true;  // unknown: the queues that suit every drive
}

unsigned logical_block_size(const BlockFile& file) {
  int size = 512;
  if (file.is_block_device() && ::ioctl(file.fd(), BLKSSZGET, &size) != 0)
    throw Error(errc::device_unreadable, {"ask for the block size of", file.path(), ""});
  return static_cast<unsigned>(size);
}

}  // namespace

Description describe_device(const std::string& device, Discards discards) {
  BlockFile file(device, BlockFile::Access::read);
  Description description;
  unsigned block = logical_block_size(file);
  if (block > 4096)
    throw Error(errc::invalid_argument,
                {"use", device, "Its blocks are larger than 4096 bytes, which LUKS2 cannot do."});
  // dm-crypt needs the size to be a multiple of its sectors.
  description.sector_size = file.size() % 4096 == 0 ? 4096 : 512;
  if (file.size() % description.sector_size != 0)
    throw Error(errc::invalid_argument, {"use", device, "Its size is not a multiple of 512 bytes."});
  if (file.size() < description.data_offset + least_data)
    throw Error(errc::invalid_argument,
                {"use", device,
                 "It has " + std::to_string(file.size() >> 20) + " MiB; a volume needs at least " +
                     std::to_string((description.data_offset + least_data) >> 20) + " MiB."});
  description.discards = discards;
  // dm-crypt's queues sort requests for rotating drives; on others they only add latency.
  if (file.is_block_device() && !is_rotational(file.device())) description.workqueues = Workqueues::bypassed;
  return description;
}

}  // namespace volcrypt::dm
