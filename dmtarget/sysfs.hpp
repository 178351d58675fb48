// Where the kernel tells of a block device. Pure; any thread. Source: Linux Documentation/ABI/stable/sysfs-block.
#pragma once

#include <sys/sysmacros.h>

#include <string>

namespace volcrypt::dm {

// "8:16", as in sysfs, mountinfo and dm tables.
inline std::string numbers_of(dev_t device) {
  return std::to_string(::gnu_dev_major(device)) + ":" + std::to_string(::gnu_dev_minor(device));
}

inline std::string sysfs_directory(dev_t device) { return "/sys/dev/block/" + numbers_of(device); }

}  // namespace volcrypt::dm
