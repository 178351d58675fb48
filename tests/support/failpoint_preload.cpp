// A library for LD_PRELOAD that makes the N-th durable step of a program fail, or ends the program there as a power cut
// would. A step is one call of write, pwrite, writev, pwritev, fsync, fdatasync, ftruncate, fallocate, rename, unlink,
// link, or an open that creates or truncates, on a file below one directory. Not seen: mmap, io_uring, static programs.
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
//                        followed is taken back, as a drive's cache loses it; renames, links and unlinks stay (see
//                        LOSES below)
//   VOLCRYPT_FAIL_COUNT  a file that gets, at a normal end, the number of steps, as decimal text, and whether the step
//                        that fails was reached, 0 or 1
//   VOLCRYPT_FAIL_TRACE  a file that gets one line per step, for people
// Steps are counted from the program's start, over all threads, in the order they are made.
// LOSES takes back content only: a rename whose directory was not flushed is another failure, see "crash" before it.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <vector>

namespace {

constexpr int crash_status = 86;

enum class How { error, crash, after, torn, sliver, shortened };

constexpr std::size_t sector = 512;

// What a write replaced, to be taken back at a crash.
struct Before {
  dev_t device;
  ino_t inode;
  std::string path;
  off_t offset, file_size;
  std::vector<char> bytes;
};

struct Plan {
  std::string directory, count_file, trace_file;
  long at = 0;
  How how = How::error;
  int error = EIO;
  bool stays = false, loses = false;
};

std::string text_of(const char* variable) {
  const char* text = ::getenv(variable);
  return text ? text : "";
}

const Plan& plan() {
  static const Plan& made = *[] {  // never destroyed, as unsynced()
    Plan& plan = *new Plan;
    plan.directory = text_of("VOLCRYPT_FAIL_DIR");
    plan.count_file = text_of("VOLCRYPT_FAIL_COUNT");
    plan.trace_file = text_of("VOLCRYPT_FAIL_TRACE");
    plan.at = ::atol(text_of("VOLCRYPT_FAIL_AT").c_str());
    std::string how = text_of("VOLCRYPT_FAIL_HOW");
    if (how == "enospc") plan.error = ENOSPC;
    if (how == "crash") plan.how = How::crash;
    if (how == "after") plan.how = How::after;
    if (how == "torn") plan.how = How::torn;
    if (how == "sliver") plan.how = How::sliver;
    if (how == "short") plan.how = How::shortened;
    plan.stays = text_of("VOLCRYPT_FAIL_STAYS") == "1";
    plan.loses = text_of("VOLCRYPT_FAIL_LOSES") == "1";
    return &plan;
  }();
  return made;
}

std::recursive_mutex mutex;
long steps = 0;
std::vector<Before>& unsynced() {
  static std::vector<Before>* list = new std::vector<Before>;  // never destroyed: programs write until the very end
  return *list;
}

// The wrapped functions are reached by raw system calls, so that nothing here comes back to us.
long raw_open(const char* path, int flags, mode_t mode = 0600) {
  return ::syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
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

void take_back_unsynced() {
  for (auto before = unsynced().rbegin(); before != unsynced().rend(); ++before) {
    long fd = raw_open(before->path.c_str(), O_WRONLY);
    struct stat facts {};
    if (fd < 0) continue;  // unlinked since
    if (::fstat(static_cast<int>(fd), &facts) == 0 && facts.st_ino == before->inode && facts.st_dev == before->device) {
      ::syscall(SYS_pwrite64, fd, before->bytes.data(), before->bytes.size(), before->offset);
      ::syscall(SYS_ftruncate, fd, before->file_size);
    }
    ::syscall(SYS_close, fd);
  }
}

[[noreturn]] void crash() {
  if (plan().loses) take_back_unsynced();
  ::syscall(SYS_exit_group, crash_status);
  __builtin_unreachable();
}

void remember(int fd, off_t offset, std::size_t length) {
  struct stat facts {};
  if (!plan().loses || ::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  Before before{facts.st_dev, facts.st_ino, path_of(fd), offset, facts.st_size, {}};
  long readable = raw_open(before.path.c_str(), O_RDONLY);  // `fd` may be write-only
  if (readable < 0) return;
  before.bytes.resize(length);
  ssize_t got = ::pread(static_cast<int>(readable), before.bytes.data(), length, offset);
  before.bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  ::syscall(SYS_close, readable);
  unsynced().push_back(std::move(before));
}

void forget(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return;
  std::erase_if(unsynced(), [&facts](const Before& before) {
    return before.inode == facts.st_ino && before.device == facts.st_dev;
  });
}

// Counts the step. False: it must fail with plan().error (errno is set).
bool may_go_on(const char* what, const std::string& path, bool& is_the_step) {
  ++steps;
  is_the_step = steps == plan().at;
  if (!plan().trace_file.empty())
    append(plan().trace_file, std::to_string(steps) + " " + what + " " + path + "\n", O_APPEND);
  if (is_the_step && plan().how == How::crash) crash();
  bool fails = plan().how == How::error && plan().at > 0 && (is_the_step || (plan().stays && steps > plan().at));
  if (fails) errno = plan().error;
  return !fails;
}

bool cuts_and_crashes() { return plan().how == How::torn || plan().how == How::sliver; }

// How much of a write of `length` bytes is done at the step.
std::size_t part_of(std::size_t length) {
  if (length <= 1) return length;
  if (plan().how == How::torn || plan().how == How::shortened) return length / 2;
  if (plan().how == How::sliver) return length / 8 < sector ? length / 8 : sector;
  return length;
}

// For steps that are not writes: torn and sliver are a crash before, short means nothing.
template <class Result, class Call>
Result step(const char* what, const std::string& path, Call call) {
  std::lock_guard lock(mutex);
  bool is_the_step = false;
  if (!may_go_on(what, path, is_the_step)) return static_cast<Result>(-1);
  if (is_the_step && cuts_and_crashes()) crash();
  Result result = call();
  if (is_the_step && plan().how == How::after) crash();
  return result;
}

// `put(length)` writes the first `length` bytes at `offset`.
template <class Put>
ssize_t write_step(const char* what, int fd, const std::string& path, off_t offset, std::size_t length, Put put) {
  std::lock_guard lock(mutex);
  bool is_the_step = false;
  if (!may_go_on(what, path, is_the_step)) return -1;
  remember(fd, offset, length);
  ssize_t result = put(is_the_step ? part_of(length) : length);
  if (is_the_step && (cuts_and_crashes() || plan().how == How::after)) crash();
  return result;
}

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
    if (result == 0) forget(fd);
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
  return step<int>(exists ? "open (truncate)" : "open (create)", whole, [&] {
    long old = exists && plan().loses ? raw_open(whole.c_str(), O_RDONLY) : -1;
    if (old >= 0) {
      remember(static_cast<int>(old), 0, static_cast<std::size_t>(facts.st_size));
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
      remember(fd, size < facts.st_size ? size : facts.st_size,
               static_cast<std::size_t>(size < facts.st_size ? facts.st_size - size : 0));
    return truncate();
  });
}

template <class Call>
int name_step(const char* what, const std::string& path, Call call) {
  return is_below(path) ? step<int>(what, path, call) : call();
}

struct Report {
  ~Report() {
    if (!plan().count_file.empty()) append(plan().count_file, std::to_string(steps) + (plan().at > 0 && steps >= plan().at ? " 1\n" : " 0\n"), O_TRUNC);
  }
} report;

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
  return name_step("fallocate", path,
                   [=] { return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length)); });
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

int rename(const char* from, const char* to) noexcept {
  return name_step("rename", path_at(AT_FDCWD, to),
                   [=] { return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)); });
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return name_step("renameat", path_at(to_directory, to), [=] {
    return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, 0));
  });
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) noexcept {
  return name_step("renameat2", path_at(to_directory, to), [=] {
    return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
  });
}

int unlink(const char* path) noexcept {
  return name_step("unlink", path_at(AT_FDCWD, path), [=] { return static_cast<int>(::syscall(SYS_unlink, path)); });
}
int unlinkat(int directory, const char* path, int flags) noexcept {
  return name_step("unlinkat", path_at(directory, path),
                   [=] { return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags)); });
}

int link(const char* from, const char* to) noexcept {
  return name_step("link", path_at(AT_FDCWD, to), [=] { return static_cast<int>(::syscall(SYS_link, from, to)); });
}
int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) noexcept {
  return name_step("linkat", path_at(to_directory, to), [=] {
    return static_cast<int>(::syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
  });
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
