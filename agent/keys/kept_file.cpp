// Two checked files for one document; see kept_file.hpp. Durability of each file: agent/runtime/durable_file.hpp.
// Why two: Vault lost its keyring to one empty file after a power cut, TiKV its dictionary to a full disk (vault#23073,
// tikv#9886).
#include "agent/keys/kept_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view magic = "volcrypt file 1 ";
constexpr std::size_t serial_digits = 20;
constexpr std::size_t head_size = magic.size() + serial_digits + 1 + 64 + 1;

std::string head_of(std::uint64_t serial, ByteView document) {
  std::string digits = std::to_string(serial);
  digits.insert(0, serial_digits - digits.size(), '0');
  const Digest checksum = Canonical("volcrypt file v1").add(serial).add(sha256(document)).sha256();
  return std::string(magic) + digits + " " + to_hex(checksum) + "\n";
}

// The serial of a whole file; empty for any other bytes.
std::optional<std::uint64_t> serial_of(ByteView file) {
  if (file.size() < head_size) return std::nullopt;
  std::uint64_t serial = 0;
  for (const std::uint8_t digit : file.subspan(magic.size(), serial_digits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    serial = serial * 10 + (digit - '0');  // an overflow gives another head, and that is compared
  }
  const std::string head = head_of(serial, file.subspan(head_size));
  if (!std::ranges::equal(as_bytes(head), file.first(head_size))) return std::nullopt;
  return serial;
}

// What runtime::write_durably leaves beside the file at a crash.
fs::path temporary_of(const fs::path& file) { return file.parent_path() / ("." + file.filename().string() + ".new"); }

[[noreturn]] void fail(const char* operation, const fs::path& file) {
  throw Error(errno_code(errno),
              {operation, file.string(), "Look at the kernel's log, then destroy the generation again."});
}

void overwrite(const fs::path& file) {
  const Fd fd(open(file.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return;
    fail("open for erasing", file);
  }
  struct stat facts {};
  if (fstat(fd.get(), &facts) != 0) fail("examine", file);
  const std::array<std::uint8_t, 4096> zeros{};
  for (off_t left = facts.st_size; left > 0;) {
    const ssize_t written = ::write(fd.get(), zeros.data(), std::min<std::size_t>(zeros.size(), std::size_t(left)));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("overwrite", file);
    left -= written;
  }
  if (fsync(fd.get()) != 0) fail("overwrite", file);
}

}  // namespace

// What one of the two files is.
struct KeptFile::Look {
  bool present = false;
  std::exception_ptr unreadable;        // present, but the system cannot read it
  std::optional<std::uint64_t> serial;  // set when whole
  std::optional<Secret> file;           // set when whole
};

fs::path KeptFile::copy() const { return fs::path(file_) += ".copy"; }

KeptFile::Look KeptFile::look(const fs::path& file) const {
  Look result;
  try {
    std::optional<Secret> bytes = runtime::read_secret_file(file, head_size + document_limit);
    result.present = bytes.has_value();
    if (bytes) result.serial = serial_of(bytes->view());
    if (result.serial) result.file = std::move(bytes);
  } catch (const Error& error) {
    result.present = true;
    const bool damaged = error.code() == errc::invalid_argument || error.code() == errc::limit_exceeded;
    if (!damaged)
      result.unreadable = std::current_exception();  // empty or oversized is damage, the rest is the system's
  }
  return result;
}

bool KeptFile::exists() const { return look(file_).present || look(copy()).present; }

std::optional<Secret> KeptFile::read() const {
  const Look first = look(file_), second = look(copy());
  if (!first.present && !second.present) return std::nullopt;
  if (!first.serial && !second.serial) {
    if (first.unreadable) std::rethrow_exception(first.unreadable);
    if (second.unreadable) std::rethrow_exception(second.unreadable);
    throw Error(errc::store_damaged,
                {"read", file_.string(),
                 "Neither it nor its copy is whole; they are left as they are. Restore from a backup."});
  }
  const Look& newest = first.serial >= second.serial ? first : second;  // no serial is less than any
  return Secret::copy_of(newest.file->view().subspan(head_size));
}

void KeptFile::write(ByteView document) {
  if (document.size() > document_limit) {
    throw Error(errc::limit_exceeded, {"write", file_.string(), "The document is larger than 64 KiB."});
  }
  const std::uint64_t newest = std::max(look(file_).serial.value_or(0), look(copy()).serial.value_or(0));
  const std::string head = head_of(newest + 1, document);
  Secret whole(head.size() + document.size());
  std::ranges::copy(document, std::ranges::copy(as_bytes(head), whole.data()).out);
  runtime::write_durably(file_, whole.view());
  runtime::write_durably(copy(), whole.view());
}

bool KeptFile::repair() {
  const Look first = look(file_), second = look(copy());
  if (!first.present && !second.present) return false;
  if (first.serial && first.serial == second.serial) return false;
  const std::optional<Secret> document = read();  // throws when there is nothing to repair from
  write(document->view());
  return true;
}

void KeptFile::destroy() {
  std::exception_ptr failure;
  for (const fs::path& file : {temporary_of(file_), temporary_of(copy()), file_, copy()}) {
    try {
      overwrite(file);
      runtime::remove_durably(file);
    } catch (const Error&) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace volcrypt::keys
