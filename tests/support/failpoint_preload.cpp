// A library for LD_PRELOAD that makes the N-th durable step of a program fail, or ends the program there as a power cut
// would. A step is one call of write, pwrite, writev, pwritev, fsync, fdatasync, ftruncate, fallocate, rename, unlink,
// link, mkdir, or an open that creates or truncates, on a file below one directory. Not seen: mmap, io_uring, static
// programs.
//   VOLCRYPT_FAIL_DIR    directory, an absolute path without symbolic links; steps elsewhere are not counted
//   VOLCRYPT_FAIL_AT     the step that fails, from 1; 0 or unset: none fails
//   VOLCRYPT_FAIL_HOW    "eio" (default), "enospc": the step is not done and fails with that errno
//                        "crash": the step is not done and the program ends with status 86, without cleaning up
//                        "after": the step is done, then the program ends so
//                        "torn": the first half of the write is done, then the program ends so (other steps: "crash")
//                        "sliver": as torn, but of the write only the first eighth is done, at most 512 bytes: one
//                        sector, the least that a drive writes whole
//                        "short": the write is half done and says so; a right program goes on
//   VOLCRYPT_FAIL_STAYS  "1": every later step fails too (eio, enospc), as on a dead drive or a full one
//   VOLCRYPT_FAIL_LOSES  "1": at the end by crash, after, torn or sliver, every write and truncation that no fsync
//                        of the file followed is taken back, as a drive's cache loses it
//   VOLCRYPT_FAIL_FORGETS  "1": so is every rename, link, unlink, new file and new directory that no fsync of its
//                        directory followed, as a file system's journal loses it. DIRECTORY.names is used for that
//   VOLCRYPT_FAIL_COUNT  a file that gets, at a normal end, the number of steps, as decimal text, and whether the step
//                        that fails was reached, 0 or 1
//   VOLCRYPT_FAIL_TRACE  a file that gets one line per step, for people
// Here are the wrapped calls. Counting and failing: failpoint_steps; what is taken back: failpoint_journal.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <vector>

#include "tests/support/failpoint_steps.hpp"

using namespace volcrypt::failpoint;

namespace {

off_t position(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  struct stat facts {};
  if (flags >= 0 && (flags & O_APPEND) && ::fstat(fd, &facts) == 0) return facts.st_size;
  off_t now = ::lseek(fd, 0, SEEK_CUR);
  return now < 0 ? 0 : now;
}

std::vector<char> gathered(const iovec* parts, int count) {
  std::vector<char> bytes;
  for (int i = 0; i < count; ++i) {
    const char* start = static_cast<const char*>(parts[i].iov_base);
    bytes.insert(bytes.end(), start, start + parts[i].iov_len);
  }
  return bytes;
}

// Direct I/O needs the caller's aligned buffers: the parts are handed on unless the write is to be cut.
ssize_t pwrite_raw(int fd, const void* bytes, std::size_t length, off_t offset) {
  return ::syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t wrapped_pwrite(const char* what, int fd, const void* bytes, std::size_t length, off_t offset) {
  std::string path = path_of(fd);
  if (!is_below(path)) return pwrite_raw(fd, bytes, length, offset);
  return write_step(what, fd, path, offset, length,
                    [=](std::size_t part) { return pwrite_raw(fd, bytes, part, offset); });
}

int wrapped_sync(const char* what, int fd, long call) {
  std::string path = path_of(fd);
  auto sync = [=] {
    int result = static_cast<int>(::syscall(call, fd));
    if (result == 0) flushed(fd);
    return result;
  };
  return is_below(path) ? step<int>(what, path, sync) : sync();
}

int wrapped_open(int directory, const char* path, int flags, mode_t mode) {
  auto open = [=] { return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode)); };
  if (!path || !(flags & (O_CREAT | O_TRUNC))) return open();
  std::string whole = path_at(directory, path);
  struct stat facts {};
  bool exists = ::fstatat(directory, path, &facts, 0) == 0;
  bool changes = exists ? (flags & O_TRUNC) != 0 && facts.st_size > 0 : (flags & O_CREAT) != 0;
  if (!is_below(whole) || !changes) return open();
  if (!exists)
    return name_step(
        "open (create)", whole, [&] { return NameChange::made(whole); }, open);
  return step<int>("open (truncate)", whole, [&] {
    long old = raw_open(whole.c_str(), O_RDONLY);
    if (old >= 0) {
      remember_content(static_cast<int>(old), 0, static_cast<std::size_t>(facts.st_size));
      ::syscall(SYS_close, old);
    }
    return open();
  });
}

int wrapped_truncate(int fd, off_t size) {
  std::string path = path_of(fd);
  auto truncate = [=] { return static_cast<int>(::syscall(SYS_ftruncate, fd, size)); };
  if (!is_below(path)) return truncate();
  return step<int>("ftruncate", path, [&] {
    struct stat facts {};
    if (::fstat(fd, &facts) == 0)
      remember_content(fd, size < facts.st_size ? size : facts.st_size,
                       static_cast<std::size_t>(size < facts.st_size ? facts.st_size - size : 0));
    return truncate();
  });
}

template <class Call>
int rename_step(const char* what, const std::string& from, const std::string& to, Call call) {
  return name_step(
      what, to, [&] { return NameChange::rename(from, to); }, call);
}
template <class Call>
int removal_step(const char* what, const std::string& path, Call call) {
  return name_step(
      what, path, [&] { return NameChange::removed(path); }, call);
}
template <class Call>
int making_step(const char* what, const std::string& path, Call call) {
  return name_step(
      what, path, [&] { return NameChange::made(path); }, call);
}

mode_t mode_from(int flags, va_list arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? static_cast<mode_t>(va_arg(arguments, unsigned)) : 0;
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t length) {
  std::string path = path_of(fd);
  auto put = [=](std::size_t part) -> ssize_t { return ::syscall(SYS_write, fd, bytes, part); };
  return is_below(path) ? write_step("write", fd, path, position(fd), length, put) : put(length);
}

ssize_t pwrite(int fd, const void* bytes, size_t length, off_t offset) {
  return wrapped_pwrite("pwrite", fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t length, off64_t offset) {
  return wrapped_pwrite("pwrite", fd, bytes, length, offset);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  std::string path = path_of(fd);
  if (!is_below(path)) return ::syscall(SYS_writev, fd, parts, count);
  std::vector<char> bytes = gathered(parts, count);
  return write_step("writev", fd, path, position(fd), bytes.size(), [&](std::size_t part) -> ssize_t {
    return part == bytes.size() ? ::syscall(SYS_writev, fd, parts, count)
                                : ::syscall(SYS_write, fd, bytes.data(), part);
  });
}

ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  std::string path = path_of(fd);
  if (!is_below(path)) return ::syscall(SYS_pwritev, fd, parts, count, offset, 0L);
  std::vector<char> bytes = gathered(parts, count);
  return write_step("pwritev", fd, path, offset, bytes.size(), [&](std::size_t part) -> ssize_t {
    return part == bytes.size() ? ::syscall(SYS_pwritev, fd, parts, count, offset, 0L)
                                : pwrite_raw(fd, bytes.data(), part, offset);
  });
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }

int fsync(int fd) { return wrapped_sync("fsync", fd, SYS_fsync); }
int fdatasync(int fd) { return wrapped_sync("fdatasync", fd, SYS_fdatasync); }

int ftruncate(int fd, off_t size) noexcept { return wrapped_truncate(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return wrapped_truncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
  std::string path = path_of(fd);
  auto call = [=] { return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length)); };
  return is_below(path) ? step<int>("fallocate", path, call) : call();
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

int renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) noexcept {
  return rename_step("rename", path_at(from_directory, from), path_at(to_directory, to), [=] {
    return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
  });
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char* from, const char* to) noexcept { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char* path, int flags) noexcept {
  return removal_step("unlink", path_at(directory, path),
                      [=] { return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags)); });
}
int unlink(const char* path) noexcept { return unlinkat(AT_FDCWD, path, 0); }

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) noexcept {
  return making_step("link", path_at(to_directory, to), [=] {
    return static_cast<int>(::syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
  });
}
int link(const char* from, const char* to) noexcept { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdir(const char* path, mode_t mode) noexcept {
  return making_step("mkdir", path_at(AT_FDCWD, path),
                     [=] { return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode)); });
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_from(flags, arguments);
  va_end(arguments);
  return wrapped_open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_from(flags, arguments);
  va_end(arguments);
  return wrapped_open(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_from(flags, arguments);
  va_end(arguments);
  return wrapped_open(directory, path, flags, mode);
}
int openat64(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_from(flags, arguments);
  va_end(arguments);
  return wrapped_open(directory, path, flags, mode);
}

}  // extern "C"
