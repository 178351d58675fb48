// DmDevices: each call is one of dmtarget's. A path that is no block device is refused before libcryptsetup sees it: it
// would quietly make a loop device of a plain file.
#include "agent/volumes/dm_devices.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "agent/volumes/inventory.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/header_area.hpp"

namespace volcrypt::volumes {

namespace {

void free_text(char* text) noexcept { free(text); }  // from realpath(3)

[[noreturn]] void unreadable(const std::string& device) {
  const int cause = errno;
  if (cause == ENOENT || cause == ENXIO || cause == ENODEV)
    throw Error(errc::device_unreadable, {"look at", device, "There is no such device now."});
  throw Error(errno_code(cause), {"look at", device, ""});
}

// The node behind by-id and by-path links, so that one drive has one name everywhere.
std::string real_node(const std::string& device) {
  const std::unique_ptr<char, FreeWith<&free_text>> node(realpath(device.c_str(), nullptr));
  if (!node) unreadable(device);
  return node.get();
}

std::string block_node(const std::string& device) {
  std::string node = real_node(device);
  struct stat status {};
  if (stat(node.c_str(), &status) != 0) unreadable(device);
  if (!S_ISBLK(status.st_mode))
    throw Error(errc::invalid_argument, {"use", device, "It is not a block device; give a path such as /dev/vdb."});
  return node;
}

}  // namespace

Sighting look_at_header(const std::string& device) {
  Sighting sighting;
  sighting.device = real_node(device);
  const dm::LuksHeader header = dm::LuksHeader::open(sighting.device);
  header.check_description();
  sighting.token = header.token();
  sighting.copies = header.facts().copies;
  const Fd fd(open(sighting.device.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) unreadable(device);
  if (S_ISBLK(status.st_mode)) {
    sighting.number = status.st_rdev;
    if (ioctl(fd.get(), BLKGETSIZE64, &sighting.bytes) != 0) unreadable(device);
  } else {
    sighting.number = status.st_ino;
    sighting.bytes = static_cast<std::uint64_t>(status.st_size);
  }
  return sighting;
}

HeaderArea read_area(const std::string& device) {
  const dm::BlockFile file(real_node(device), dm::BlockFile::Access::read);
  return {file.path(), file.size(), dm::read_header_area(file)};
}

std::vector<Candidate> DmDevices::scan() { return find_labelled(); }

std::vector<DriveFacts> DmDevices::drives() { return find_drives(); }
bool DmDevices::quiet() { return udev_is_quiet(); }

bool DmDevices::present(dev_t number) {
  const std::string entry = "/sys/dev/block/" + std::to_string(major(number)) + ":" + std::to_string(minor(number));
  if (access(entry.c_str(), F_OK) == 0) return true;
  if (errno != ENOENT) throw Error(errno_code(errno), {"look for", entry, ""});
  return false;
}

Sighting DmDevices::look(const std::string& device) { return look_at_header(block_node(device)); }
HeaderArea DmDevices::header_area(const std::string& device) { return read_area(block_node(device)); }
std::vector<dm::Mapping> DmDevices::mappings() { return dm::list_mappings(); }

dm::Description DmDevices::describe(const std::string& device, dm::Discards discards) {
  return dm::describe_device(block_node(device), discards);
}

void DmDevices::check_formattable(const std::string& device, dm::ExistingData existing) {
  dm::check_formattable(block_node(device), existing);
}

void DmDevices::create(const std::string& device, const dm::Token& token, const Secret& key,
                       dm::ExistingData existing) {
  dm::create(block_node(device), token, key, existing);
}

dm::Changed DmDevices::attach(const std::string& device, const dm::Token& proved, const Secret& key) {
  return dm::attach(block_node(device), proved, key);
}
dm::Changed DmDevices::detach(const std::string& name) { return dm::detach(name); }

dm::Changed DmDevices::repair_header(const std::string& device, const dm::Token& proved, const Secret& key) {
  return dm::repair_header(block_node(device), proved, key);
}

dm::Changed DmDevices::rewrap(const std::string& device, const dm::Token& token) {
  return dm::rewrap(block_node(device), token);
}

dm::Changed DmDevices::take_back(const std::string& device, const dm::Rewrap& rewrap) {
  return dm::take_back(block_node(device), rewrap);
}

void DmDevices::verify_key(const std::string& device, const Secret& key) {
  dm::LuksHeader::open(block_node(device)).verify_volume_key(key);
}

void DmDevices::erase(const std::string& device, const Uuid& volume) { dm::erase(block_node(device), volume); }
Bytes DmDevices::backup_header(const std::string& device) { return dm::backup_header(block_node(device)); }

void DmDevices::restore_header(const std::string& device, ByteView backup, const Uuid& expected) {
  dm::restore_header(block_node(device), backup, expected);
}

void DmDevices::resume(const std::string& name) { dm::resume(name); }
dm::Removal DmDevices::remove(const std::string& name) { return dm::remove_mapping(name); }
dm::Removal DmDevices::remove_dead(const std::string& name) { return dm::remove_dead_mapping(name); }

}  // namespace volcrypt::volumes
