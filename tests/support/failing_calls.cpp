// The wrapped calls; see failing_calls.hpp. ld sends every call of NAME to __wrap_NAME, and __real_NAME is the C
// library's.
#include "tests/support/failing_calls.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <stdexcept>

namespace {

constexpr int crashed = 77, finished = 0, threw = 78;

int made = 0;     // calls so far
int victim = 0;   // number of the call that fails; 0: none
int failure = 0;  // errno for it; 0: the process ends

enum class Fate { go_on, fail };

Fate next_call() {
  if (++made != victim) return Fate::go_on;
  if (failure == 0) _exit(crashed);
  errno = failure;
  return Fate::fail;
}

}  // namespace

extern "C" {
int __real_open(const char* path, int flags, ...);
ssize_t __real_write(int fd, const void* bytes, size_t size);
int __real_fsync(int fd);
int __real_rename(const char* from, const char* to);
int __real_renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags);
int __real_unlink(const char* path);

int __wrap_open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_ACCMODE) != O_RDONLY && next_call() == Fate::fail) return -1;
  return __real_open(path, flags, mode);
}

ssize_t __wrap_write(int fd, const void* bytes, size_t size) {
  // Half of it reaches the file before the end comes.
  if (made + 1 == victim && size > 1 && __real_write(fd, bytes, size / 2) < 0) return -1;
  return next_call() == Fate::fail ? -1 : __real_write(fd, bytes, size);
}

int __wrap_fsync(int fd) { return next_call() == Fate::fail ? -1 : __real_fsync(fd); }
int __wrap_rename(const char* from, const char* to) { return next_call() == Fate::fail ? -1 : __real_rename(from, to); }
int __wrap_renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  return next_call() == Fate::fail ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}
int __wrap_unlink(const char* path) { return next_call() == Fate::fail ? -1 : __real_unlink(path); }
}

namespace volcrypt::tests {
namespace {

struct Disarm {
  ~Disarm() { victim = 0; }
};

void arm(int n, int error) {
  made = 0;
  victim = n;
  failure = error;
}

}  // namespace

int count_calls(const std::function<void()>& action) {
  arm(0, 0);
  action();
  return made;
}

bool with_failing_call(int n, int error, const std::function<void()>& action) {
  const Disarm disarm;
  arm(n, error);
  action();
  return made >= n;
}

bool with_crash_at_call(int n, const std::function<void()>& action) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    arm(n, 0);
    try {
      action();
    } catch (...) {
      _exit(threw);
    }
    _exit(finished);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) throw std::runtime_error("the child died");
  if (WEXITSTATUS(status) != crashed && WEXITSTATUS(status) != finished) throw std::runtime_error("the action threw");
  return WEXITSTATUS(status) == crashed;
}

}  // namespace volcrypt::tests
