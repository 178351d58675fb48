// What a program under the failpoint library is to suffer, from its environment; failpoint_preload.cpp says how to ask
// for it. And the raw calls, which the library does not wrap.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

namespace volcrypt::failpoint {

inline constexpr int crash_status = 86;

enum class How { error, crash, after, torn, sliver, shortened };

struct Plan {
  std::string directory, count_file, trace_file;
  long at = 0;
  How how = How::error;
  int error = 5;  // EIO
  bool stays = false;
  bool loses = false;    // content
  bool forgets = false;  // names
};

const Plan& plan();
bool is_below(const std::string& path);  // the plan's directory

std::string path_of(int fd);                           // empty: it has none
std::string path_at(int directory, const char* path);  // absolute
void append(const std::string& file, const std::string& text, int flags);

inline long raw_open(const char* path, int flags, mode_t mode = 0600) {
  return ::syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

}  // namespace volcrypt::failpoint
