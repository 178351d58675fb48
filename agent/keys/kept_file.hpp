// KeptFile: one small document in two files, NAME and NAME.copy, each with a serial number and a checksum. One damaged
// or lost file is made good from the other; a write that fails or is cut short leaves the old document or the new one.
// Its bytes pass through locked memory only, so it may hold a key. Blocking; one thread at a time, one process per
// file. Format of each: "volcrypt file 1 " SERIAL(20 digits) " " SHA-256(serial, SHA-256(document)) in hex, newline,
// document.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

class KeptFile {
 public:
  static constexpr std::size_t document_limit = 64 * 1024;  // bytes

  explicit KeptFile(std::filesystem::path file) : file_(std::move(file)) {}

  const std::filesystem::path& path() const noexcept { return file_; }
  bool exists() const;  // some file of it is there, be it damaged

  // The newest whole document; empty only when both files are missing. Throws errc::store_damaged when there is a file
  // but no whole one (they are left as they are), Error with errno when they cannot be read. Writes nothing.
  std::optional<Secret> read() const;

  // Replaces both files, one after the other, and reads both back. When it throws, read() gives the old or the new
  // document.
  void write(ByteView document);

  // Makes two equal files of the newest whole one; true when that was needed. Throws as read() and write() do.
  bool repair();

  // Overwrites and unlinks everything of it, left-over temporary files included. Idempotent; tries every step, then
  // reports the first that failed. Overwriting reaches no old copies that the file system or the drive keeps.
  void destroy();

 private:
  struct Look;
  Look look(const std::filesystem::path& file) const;
  std::filesystem::path copy() const;

  std::filesystem::path file_;
};

}  // namespace volcrypt::keys
