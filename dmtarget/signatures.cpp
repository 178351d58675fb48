// Probing with libblkid, see signatures.hpp.
#include "dmtarget/signatures.hpp"

#include <blkid/blkid.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::dm {
namespace {

using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeWith<&blkid_free_probe>>;

[[noreturn]] void cannot_probe(const std::string& device) {
  throw Error(errc::device_unreadable, {"look for signatures on", device, std::string(std::strerror(errno)) + "."});
}

}  // namespace

std::vector<std::string> find_signatures(const std::string& device) {
  // Not direct I/O: libblkid reads into buffers that are not aligned.
  Fd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) cannot_probe(device);
  Probe probe(blkid_new_probe());
  if (!probe || blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0) cannot_probe(device);
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);

  std::vector<std::string> names;
  int found = 0;
  while ((found = blkid_do_probe(probe.get())) == 0) {
    const char* name = nullptr;
    if (blkid_probe_lookup_value(probe.get(), "TYPE", &name, nullptr) == 0 ||
        blkid_probe_lookup_value(probe.get(), "PTTYPE", &name, nullptr) == 0)
      names.emplace_back(name);
    else
      names.emplace_back("an unnamed signature");
  }
  if (found < 0) cannot_probe(device);
  return names;
}

}  // namespace volcrypt::dm
