// Durable small files. Sources: open(2), fsync(2) (a rename is durable only after an fsync of its directory).
#include "agent/runtime/durable_file.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::runtime {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const char* operation, const fs::path& file, int number = errno) {
  std::string way_out;
  if (number == ENOSPC || number == EDQUOT) way_out = "Make room on its file system and try again.";
  if (number == EROFS) way_out = "Its file system is read-only; look at the kernel's log for the reason.";
  throw Error(errno_code(number), {operation, file.string(), std::move(way_out)});
}

fs::path directory_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

// A fixed name: what a crash left behind is replaced by the next write.
fs::path temporary_of(const fs::path& file) { return directory_of(file) / ("." + file.filename().string() + ".new"); }

void sync_directory(const fs::path& directory) {
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) fail("make durable the directory", directory);
}

void write_temporary(const fs::path& temporary, ByteView content) {
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) fail("replace", temporary);
  const Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) fail("create", temporary);
  while (!content.empty()) {
    const auto written = write(fd.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write", temporary, written == 0 ? EIO : errno);
    content = content.subspan(static_cast<std::size_t>(written));
  }
  if (fsync(fd.get()) != 0) fail("make durable", temporary);
}

// An open regular file and its size; empty when there is no such file.
struct Opened {
  Fd fd;
  std::size_t size = 0;
};

std::optional<Opened> open_to_read(const fs::path& file, std::size_t limit) {
  Opened opened{Fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))};
  if (!opened.fd) {
    if (errno == ENOENT) return std::nullopt;
    fail("open", file);
  }
  struct stat facts {};
  if (fstat(opened.fd.get(), &facts) != 0) fail("examine", file);
  if (!S_ISREG(facts.st_mode))
    throw Error(errc::invalid_argument, {"read", file.string(), "It is not a regular file."});
  opened.size = static_cast<std::size_t>(facts.st_size);
  if (opened.size > limit) {
    throw Error(errc::limit_exceeded,
                {"read", file.string(),
                 "It has " + std::to_string(opened.size) + " bytes; " + std::to_string(limit) + " are allowed."});
  }
  return opened;
}

void read_exactly(const Opened& opened, const fs::path& file, std::span<std::uint8_t> memory) {
  while (!memory.empty()) {
    const auto got = read(opened.fd.get(), memory.data(), memory.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("read", file, got == 0 ? EIO : errno);  // shorter than it said: changed under us
    memory = memory.subspan(static_cast<std::size_t>(got));
  }
}

bool holds(const fs::path& file, ByteView content) {
  const auto opened = open_to_read(file, content.size());
  if (!opened || opened->size != content.size()) return false;
  std::array<std::uint8_t, 4096> block{};
  const Undo forget([&block]() noexcept { wipe(block); });  // the content may be a key
  while (!content.empty()) {
    const std::span<std::uint8_t> part(block.data(), std::min(block.size(), content.size()));
    read_exactly(*opened, file, part);
    if (!std::equal(part.begin(), part.end(), content.begin())) return false;
    content = content.subspan(part.size());
  }
  return true;
}

void finish(const fs::path& file, ByteView content) {
  sync_directory(directory_of(file));
  if (!holds(file, content)) fail("read back what was written to", file, EIO);
}

}  // namespace

void write_durably(const fs::path& file, ByteView content) {
  const auto temporary = temporary_of(file);
  Undo remove_temporary([&] { unlink(temporary.c_str()); });
  write_temporary(temporary, content);
  if (rename(temporary.c_str(), file.c_str()) != 0) fail("put in place", file);
  remove_temporary.keep();
  finish(file, content);
}

void create_durably(const fs::path& file, ByteView content) {
  const auto temporary = temporary_of(file);
  Undo remove_temporary([&] { unlink(temporary.c_str()); });
  write_temporary(temporary, content);
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) throw Error(errc::already_exists, {"create", file.string(), "It is left as it is."});
    fail("put in place", file);
  }
  remove_temporary.keep();
  finish(file, content);
}

std::optional<Bytes> read_file(const fs::path& file, std::size_t limit) {
  const auto opened = open_to_read(file, limit);
  if (!opened) return std::nullopt;
  Bytes content(opened->size);
  read_exactly(*opened, file, content);
  return content;
}

std::optional<Secret> read_secret_file(const fs::path& file, std::size_t limit) {
  const auto opened = open_to_read(file, limit);
  if (!opened) return std::nullopt;
  if (opened->size == 0) throw Error(errc::invalid_argument, {"read a key from", file.string(), "It is empty."});
  Secret content(opened->size);
  read_exactly(*opened, file, content.writable());
  return content;
}

void make_directory_durably(const fs::path& directory) {
  int made = mkdir(directory.c_str(), 0700);
  if (made != 0 && errno == ENOENT && directory.has_parent_path()) {
    make_directory_durably(directory.parent_path());
    made = mkdir(directory.c_str(), 0700);
  }
  if (made != 0 && errno != EEXIST) fail("make the directory", directory);
  sync_directory(directory_of(directory));  // also when it was there: an earlier call may have failed here
}

void remove_durably(const fs::path& file) {
  if (unlink(file.c_str()) != 0) {
    if (errno == ENOENT) return;
    fail("remove", file);
  }
  sync_directory(directory_of(file));
}

}  // namespace volcrypt::runtime
