// Drives as sparse files.
#include "tests/support/vm_drive.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <system_error>

#include "tests/support/vm_process.hpp"

namespace volcrypt::test {
namespace {

class File {
 public:
  File(const std::filesystem::path& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (number_ < 0) throw std::system_error(errno, std::generic_category(), "drive file " + path.string());
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(number_); }
  int get() const { return number_; }

 private:
  int number_;
};

}  // namespace

Drive::Drive(const std::filesystem::path& directory, std::string serial, DriveShape shape)
    : serial_(std::move(serial)), file_(directory / (serial_ + ".raw")), shape_(shape) {
  const File file(file_, O_RDWR | O_CREAT | O_EXCL);
  if (::ftruncate(file.get(), static_cast<off_t>(shape_.mebibytes << 20)) != 0)
    throw std::system_error(errno, std::generic_category(), "drive file " + file_.string());
}

Drive::Drive(const Drive& original, std::string serial)
    : serial_(std::move(serial)), file_(original.file_.parent_path() / (serial_ + ".raw")), shape_(original.shape_) {
  run_on_host({"cp", "--sparse=always", original.file_.string(), file_.string()});
}

bool Drive::holds(std::string_view text) const {
  const File file(file_, O_RDONLY);
  const auto size = std::filesystem::file_size(file_);
  // Extent by extent: a sparse file is mostly holes. The extents are joined when they touch, so no text is missed at a
  // border, and a text with zeros at its ends must not be asked for.
  off_t position = 0;
  while ((position = ::lseek(file.get(), position, SEEK_DATA)) >= 0) {
    const off_t end = ::lseek(file.get(), position, SEEK_HOLE);
    const auto page = static_cast<off_t>(::sysconf(_SC_PAGESIZE));
    const off_t start = position / page * page;
    const auto length = static_cast<std::size_t>(end - start);
    void* map = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file.get(), start);
    if (map == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "reading drive file " + file_.string());
    const bool found = ::memmem(map, length, text.data(), text.size()) != nullptr;
    ::munmap(map, length);
    if (found) return true;
    position = end;
    if (static_cast<std::uintmax_t>(position) >= size) break;
  }
  return false;
}

void Drive::damage(std::uint64_t offset, std::string_view bytes) const {
  const File file(file_, O_WRONLY);
  if (::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(bytes.size()))
    throw std::system_error(errno, std::generic_category(), "drive file " + file_.string());
}

}  // namespace volcrypt::test
