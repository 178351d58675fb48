// From a passphrase to a key: scrypt with fixed parameters, about half a second and 128 MiB by intent. Only for what a
// person or a credential locks; random keys need no stretching. Any thread. Source: RFC 7914.
#pragma once

#include <cstdint>

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

// Format version 1 of every file knows these and no others, so a file cannot ask for more memory or for less work.
struct Scrypt {
  static constexpr std::uint64_t n = 1U << 17;
  static constexpr std::uint64_t r = 8;
  static constexpr std::uint64_t p = 1;
  static constexpr std::size_t salt_size = 32;
};

// 32 bytes. errc::limit_exceeded when the memory cannot be had. Any bytes may be in the passphrase; how long it has to
// be is the command line's business.
Secret passphrase_key(const Secret& passphrase, ByteView salt);

}  // namespace volcrypt::keys
