// What must not be formatted, see check_formattable in volume.hpp. FAILURES.md section C: formatting is the one step
// that nothing brings back, so every doubt is a refusal that names what was found.
#include "dmtarget/formattable.hpp"

#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "dmtarget/error.hpp"
#include "dmtarget/header_area.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/signatures.hpp"
#include "dmtarget/sysfs.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::size_t looked_at = 1 << 20;  // bytes at each end that must be zero

[[noreturn]] void busy(const std::string& device, const std::string& why) {
  throw Error(errc::device_busy, {"use", device, why + " Nothing was changed."});
}

// proc(5): the third field of mountinfo is MAJOR:MINOR, the fifth the mount point.
std::optional<std::string> mount_point_of(dev_t device) {
  std::ifstream mounts("/proc/self/mountinfo");
  if (!mounts)
    throw Error(errc::unknown_outcome,
                {"read", "/proc/self/mountinfo", "What is mounted is unknown. Nothing was changed."});
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, numbers, root, point;
    if (fields >> id >> parent >> numbers >> root >> point && numbers == numbers_of(device)) return point;
  }
  return std::nullopt;
}

std::optional<std::string> holder_of(dev_t device) {
  const std::string directory = sysfs_directory(device) + "/holders";
  std::error_code failure;
  const std::filesystem::directory_iterator holders(directory, failure);
  if (failure == std::errc::no_such_file_or_directory) return std::nullopt;  // a plain file has none
  if (failure)
    throw Error(errno_code(failure.value()),
                {"read", directory, "Who uses the device is unknown. Nothing was changed."});
  if (holders != std::filesystem::directory_iterator()) return holders->path().filename().string();
  return std::nullopt;
}

// A file that a loop device shows is not claimed by the kernel.
std::optional<std::string> loop_device_of(const std::string& file) {
  std::error_code failure;
  std::filesystem::path whole = std::filesystem::canonical(file, failure);
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", failure)) {
    std::ifstream backing(entry.path() / "loop/backing_file");
    std::string path;
    if (std::getline(backing, path) && path == whole.string()) return entry.path().filename().string();
  }
  return std::nullopt;
}

void refuse_data(const BlockFile& file) {
  auto refuse = [&file](const std::string& what) {
    throw Error(errc::device_not_blank, {"format", file.path(),
                                         what + " If nothing on it is needed, repeat with "
                                                "--erase-existing-data. Nothing was changed."});
  };
  std::string found;
  for (const std::string& signature : find_signatures(file.path())) found += (found.empty() ? "" : ", ") + signature;
  if (!found.empty()) refuse("It carries: " + found + ".");
  if (!all_zero(file.read(0, looked_at))) refuse("Its first MiB is not blank.");
  if (!all_zero(file.read(file.size() - looked_at, looked_at))) refuse("Its last MiB is not blank.");
}

void refuse_header_of_ours(const BlockFile& file) {
  const Bytes area = read_header_area(file);
  HeaderCopies copies = read_header_copies(area);
  // What a restore would bring back is no data of somebody else's.
  if (!copies.any_good() && looks_like_damaged_ours(copies, area))
    throw Error(
        errc::header_damaged,
        {"format", file.path(),
         "It carries what is left of a volcrypt header, which --erase-existing-data does not cover. Put it back "
         "with `volcryptctl header restore NAME --device " +
             file.path() +
             "`; if that volume is really not needed, remove the remains with wipefs first. Nothing was "
             "changed."});
  if (!copies.any_good() || copies.newest().subsystem != header_subsystem) return;
  throw Error(errc::device_not_blank,
              {"format", file.path(),
               "It holds the volume " + copies.newest().uuid + " (" + copies.newest().label +
                   "), which "
                   "--erase-existing-data does not cover. Erase that volume first. Nothing was changed."});
}

}  // namespace

void check_unused(const std::string& device) {
  // The names first, as a claim that fails does not say whose.
  dev_t number = BlockFile(device, BlockFile::Access::read).device();
  if (number != 0) {
    if (auto point = mount_point_of(number)) busy(device, "It is mounted on " + *point + ".");
    if (auto holder = holder_of(number)) busy(device, "It is in use under " + *holder + ".");
  } else if (auto loop = loop_device_of(device)) {
    busy(device, "It is in use as /dev/" + *loop + ".");
  }
}

BlockFile claim_formattable(const std::string& device, ExistingData existing) {
  check_unused(device);
  BlockFile file(device, BlockFile::Access::write_claimed);
  if (file.size() < 2 * looked_at) throw Error(errc::invalid_argument, {"format", device, "It is smaller than 2 MiB."});
  refuse_header_of_ours(file);
  if (existing == ExistingData::refuse) refuse_data(file);
  return file;
}

void check_formattable(const std::string& device, ExistingData existing) { claim_formattable(device, existing); }

}  // namespace volcrypt::dm
