// The environment's plan, see failpoint_plan.hpp. Read once, never destroyed: programs write until the very end.
#include "tests/support/failpoint_plan.hpp"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

namespace volcrypt::failpoint {

namespace {

std::string text_of(const char* variable) {
  const char* text = ::getenv(variable);
  return text ? text : "";
}

How how_of(const std::string& word) {
  if (word == "crash") return How::crash;
  if (word == "after") return How::after;
  if (word == "torn") return How::torn;
  if (word == "sliver") return How::sliver;
  if (word == "short") return How::shortened;
  return How::error;
}

}  // namespace

const Plan& plan() {
  static const Plan& made = *[] {
    Plan& plan = *new Plan;
    plan.directory = text_of("VOLCRYPT_FAIL_DIR");
    plan.count_file = text_of("VOLCRYPT_FAIL_COUNT");
    plan.trace_file = text_of("VOLCRYPT_FAIL_TRACE");
    plan.at = ::atol(text_of("VOLCRYPT_FAIL_AT").c_str());
    plan.how = how_of(text_of("VOLCRYPT_FAIL_HOW"));
    plan.error = text_of("VOLCRYPT_FAIL_HOW") == "enospc" ? ENOSPC : EIO;
    plan.stays = text_of("VOLCRYPT_FAIL_STAYS") == "1";
    plan.loses = text_of("VOLCRYPT_FAIL_LOSES") == "1";
    plan.forgets = text_of("VOLCRYPT_FAIL_FORGETS") == "1";
    return &plan;
  }();
  return made;
}

bool is_below(const std::string& path) {
  const std::string& directory = plan().directory;
  return !directory.empty() && path.compare(0, directory.size(), directory) == 0 &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

std::string path_of(int fd) {
  char link[64], path[PATH_MAX];
  ::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = ::readlink(link, path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

std::string path_at(int directory, const char* path) {
  if (path[0] == '/') return path;
  if (directory != AT_FDCWD) return path_of(directory) + "/" + path;
  char here[PATH_MAX];
  return (::getcwd(here, sizeof here) ? std::string(here) : std::string()) + "/" + path;
}

void append(const std::string& file, const std::string& text, int flags) {
  long fd = raw_open(file.c_str(), O_WRONLY | O_CREAT | flags);
  if (fd < 0) return;
  ::syscall(SYS_write, fd, text.data(), text.size());
  ::syscall(SYS_close, fd);
}

}  // namespace volcrypt::failpoint
