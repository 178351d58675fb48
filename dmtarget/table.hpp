// Values that render and read the kernel's table lines. Pure text: no ioctl, no device, no key; a key stands in a line
// only as a reference to the kernel keyring. Any thread.
// Source: Linux Documentation/admin-guide/device-mapper/dm-crypt.rst (parameters and their order in status output).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dmtarget/token.hpp"

namespace volcrypt::dm {

// ":64:logon:cryptsetup:UUID-d0": a key that the kernel looks up when the table is loaded.
struct KeyReference {
  std::uint32_t bytes = 64;
  std::string description;
  bool operator==(const KeyReference&) const = default;
};

struct CryptTarget {
  std::uint64_t sectors = 0;  // length, in units of 512 bytes; the target starts at 0
  std::string cipher = "aes-xts-plain64";
  KeyReference key;
  std::string device;                // "MAJOR:MINOR", as the kernel prints it, or a path
  std::uint64_t offset = 0;          // where the data starts on `device`, in units of 512 bytes
  std::uint32_t sector_size = 4096;  // bytes
  Discards discards = Discards::refused;
  Workqueues workqueues = Workqueues::used;
  bool operator==(const CryptTarget&) const = default;
};

// "0 SECTORS crypt CIPHER KEY 0 DEVICE OFFSET [COUNT OPTION...]", options in the kernel's order. Throws
// Error(errc::invalid_argument) for what would not be one line of these fields: blanks, an empty field, a sector size
// that is no power of two from 512 to 4096, a size or offset that is not a whole number of such sectors.
std::string render(const CryptTarget& target);

// Reads a line as the kernel prints it. Throws Error(errc::unknown_outcome) for any line that a CryptTarget cannot say
// (another target, a key that is no keyring reference, an unknown option): such a mapping is not one that we made.
CryptTarget parse_crypt(std::string_view line);

// True when the key field of a crypt target's parameters is a reference to a logon key in the kernel keyring.
// Everything else may be the key itself, in hex, and must not be copied.
bool key_is_reference(std::string_view crypt_parameters);

}  // namespace volcrypt::dm
