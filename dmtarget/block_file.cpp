// Whole reads and writes on a device or file, see block_file.hpp.
#include "dmtarget/block_file.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "dmtarget/error.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::size_t chunk = 1 << 20;  // bytes per call: small enough to be aligned cheaply, large enough to be quick
constexpr std::size_t memory_alignment = 4096;  // direct I/O wants the buffer aligned to the logical block size

using AlignedBuffer = std::unique_ptr<std::uint8_t, FreeWith<&std::free>>;

AlignedBuffer aligned_buffer(std::size_t size) {
  std::size_t rounded = (size + memory_alignment - 1) / memory_alignment * memory_alignment;
  AlignedBuffer buffer(static_cast<std::uint8_t*>(std::aligned_alloc(memory_alignment, rounded)));
  if (!buffer) throw std::bad_alloc();
  return buffer;
}

[[noreturn]] void unreadable(const std::string& path, const std::string& why) {
  throw Error(errc::device_unreadable,
              {"read", path, why + ". Check the drive, its cable or its path; nothing was changed."});
}

[[noreturn]] void write_failed(const std::string& path, const char* operation) {
  throw Error(errno_code(errno), {operation, path, "Check the drive, its cable or its path."});
}

using Access = BlockFile::Access;

bool is_writing(Access access) { return access == Access::write || access == Access::write_claimed; }
bool is_claiming(Access access) { return access == Access::read_claimed || access == Access::write_claimed; }

Fd open_or_refuse(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
  if (fd) return fd;
  if (errno == EBUSY)
    throw Error(errc::device_busy, {"open", path, "It is mounted, mapped or claimed by another program."});
  unreadable(path, std::strerror(errno));
}

}  // namespace

BlockFile::BlockFile(const std::string& path, Access access) : path_(path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) unreadable(path, std::strerror(errno));
  int flags = is_writing(access) ? O_RDWR : O_RDONLY;
  if (S_ISBLK(facts.st_mode)) {
    // O_EXCL without O_CREAT is defined for block devices only, see open(2).
    fd_ = open_or_refuse(path, flags | O_DIRECT | (is_claiming(access) ? O_EXCL : 0));
    if (::fstat(fd_.get(), &facts) != 0 || ::ioctl(fd_.get(), BLKGETSIZE64, &size_) != 0)
      unreadable(path, std::strerror(errno));
    device_ = facts.st_rdev;
  } else if (S_ISREG(facts.st_mode)) {
    fd_ = open_or_refuse(path, flags);
    if (::fstat(fd_.get(), &facts) != 0) unreadable(path, std::strerror(errno));
    size_ = static_cast<std::uint64_t>(facts.st_size);
  } else {
    throw Error(errc::invalid_argument, {"use", path, "It is neither a block device nor a plain file."});
  }
}

Bytes BlockFile::read(std::uint64_t offset, std::size_t length) const {
  Bytes result(length);
  AlignedBuffer buffer = aligned_buffer(std::min(chunk, length));
  for (std::size_t done = 0; done < length;) {
    ssize_t got = ::pread(fd_.get(), buffer.get(), std::min(chunk, length - done), static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(path_, "Reading at byte " + std::to_string(offset + done) + ": " + std::strerror(errno));
    if (got == 0) unreadable(path_, "It ends at byte " + std::to_string(offset + done));
    std::copy_n(buffer.get(), got, result.begin() + static_cast<std::ptrdiff_t>(done));
    done += static_cast<std::size_t>(got);
  }
  return result;
}

void BlockFile::write(std::uint64_t offset, ByteView bytes) {
  AlignedBuffer buffer = aligned_buffer(std::min(chunk, bytes.size()));
  for (std::size_t done = 0; done < bytes.size();) {
    std::size_t part = std::min(chunk, bytes.size() - done);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(done), part, buffer.get());
    ssize_t put = ::pwrite(fd_.get(), buffer.get(), part, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = EIO;  // a device that takes nothing
    if (put <= 0) write_failed(path_, "write to");
    done += static_cast<std::size_t>(put);
  }
}

void BlockFile::zero(std::uint64_t offset, std::uint64_t length) {
  const Bytes zeros(std::min<std::uint64_t>(chunk, length));
  for (std::uint64_t done = 0; done < length; done += zeros.size())
    write(offset + done, ByteView(zeros).first(std::min<std::uint64_t>(zeros.size(), length - done)));
}

void BlockFile::sync() {
  if (::fsync(fd_.get()) != 0) write_failed(path_, "flush");
}

bool BlockFile::discard(std::uint64_t offset, std::uint64_t length) {
  if (!is_block_device())
    return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length)) == 0;
  std::uint64_t range[2] = {offset, length};
  return ::ioctl(fd_.get(), BLKDISCARD, range) == 0;
}

bool all_zero(ByteView bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace volcrypt::dm
