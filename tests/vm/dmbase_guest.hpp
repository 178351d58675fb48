// The ground on which the guest's tests stand: shell commands as root, a memory disk, mappings that go with the test.
// Runs inside of a machine only.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "dmtarget/handle.hpp"

namespace volcrypt::guest {

inline void shell(const std::string& command) {
  BOOST_REQUIRE_MESSAGE(std::system(command.c_str()) == 0, "failed: " << command);
}

inline std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, FreeWith<&::pclose>> pipe(::popen(command.c_str(), "r"));
  BOOST_REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) output.append(buffer.data(), got);
  return output;
}

inline dev_t device_of(const std::string& node) {
  struct stat facts {};
  return ::stat(node.c_str(), &facts) == 0 ? facts.st_rdev : 0;
}

inline bool node_exists(const std::string& name) {
  struct stat facts {};
  return ::lstat(("/dev/mapper/" + name).c_str(), &facts) == 0;
}

inline bool cookies_are_open() { return output_of("dmsetup udevcookies").find("0x") != std::string::npos; }

// /dev/ram0 of 32 MiB, and no mapping left over from the test before or after.
struct Ground {
  Ground() {
    shell("modprobe brd rd_nr=1 rd_size=32768 && modprobe dm_crypt && udevadm settle");
    clear();
  }
  ~Ground() {
    BOOST_TEST(!cookies_are_open());
    clear();
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  static void clear() {
    shell(
        "for n in $(dmsetup ls | awk '/\\(/ {print $1}'); do dmsetup resume --nolockfs $n; dmsetup remove --force $n; "
        "done >/dev/null 2>&1; true");
  }
  // A linear mapping of 8 MiB on the memory disk.
  static void linear(const std::string& name) {
    shell("dmsetup create " + name + " --table '0 16384 linear /dev/ram0 0'");
  }
};

inline Fd open_mapping(const std::string& name, int flags = O_RDWR) {
  Fd fd(::open(("/dev/mapper/" + name).c_str(), flags | O_CLOEXEC));
  BOOST_REQUIRE_MESSAGE(static_cast<bool>(fd), "cannot open " << name);
  return fd;
}

}  // namespace volcrypt::guest
