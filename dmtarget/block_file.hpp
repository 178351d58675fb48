// Raw bytes of a block device or a plain file: the only place of dmtarget that reads and writes them. A read or write
// is whole or an Error; short, failing and missing are told apart from content. Knows no format. On a block device all
// I/O is direct, so that what is read comes from the medium and not from a cache that outlived it. Blocking.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>

#include "dmtarget/bytes.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::dm {

class BlockFile {
 public:
  // claimed: O_EXCL on a block device, so that the kernel refuses it while mounted, mapped or claimed by another, and
  // refuses others until this object ends. Without meaning for a plain file.
  enum class Access { read, write, read_claimed, write_claimed };

  // Throws Error: errc::device_unreadable (missing, no medium, not permitted), errc::device_busy (claimed elsewhere),
  // errc::invalid_argument (neither a block device nor a plain file).
  BlockFile(const std::string& path, Access access);

  const std::string& path() const noexcept { return path_; }
  std::uint64_t size() const noexcept { return size_; }  // bytes, as of opening
  bool is_block_device() const noexcept { return device_ != 0; }
  dev_t device() const noexcept { return device_; }  // 0 for a plain file
  int fd() const noexcept { return fd_.get(); }      // for ioctls and libblkid

  // `offset` and lengths are multiples of the logical block size. Throws Error(errc::device_unreadable).
  Bytes read(std::uint64_t offset, std::size_t length) const;

  // Throws Error with the errno as its cause; what was written until then stays written.
  void write(std::uint64_t offset, ByteView bytes);
  void zero(std::uint64_t offset, std::uint64_t length);
  void sync();  // fsync; a failed one means that nothing since the last good one is certain

  // Tells the device, or the file's filesystem, that the bytes are not needed. False where that is not supported.
  bool discard(std::uint64_t offset, std::uint64_t length);

 private:
  std::string path_;
  Fd fd_;
  std::uint64_t size_ = 0;
  dev_t device_ = 0;
};

bool all_zero(ByteView bytes) noexcept;

}  // namespace volcrypt::dm
