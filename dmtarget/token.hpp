// The volcrypt token in a LUKS2 header: which cluster, group, volume and generation, the wrapped DEK, and the
// description of the volume that the wrap authenticates. Values and text only: no device, no cryptography, no key.
// Format: LUKS2 on-disk specification 1.1, section 3.3 (tokens), our own type "volcrypt". Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "dmtarget/bytes.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::dm {

inline constexpr std::string_view token_type = "volcrypt";
inline constexpr std::uint64_t token_version = 1;
inline constexpr std::size_t token_json_limit = 4096;     // bytes; a longer token is refused unread
inline constexpr std::size_t wrapped_dek_size = 64 + 16;  // AES-256-GCM ciphertext and tag

enum class Discards { refused, passed_down };
enum class Workqueues { used, bypassed };  // bypassed: no_read_workqueue and no_write_workqueue

// Everything that decides how ciphertext maps to plain text. Attach refuses a header that differs in any of it.
struct Description {
  std::string cipher = "aes-xts-plain64";
  std::uint32_t key_bytes = 64;
  std::uint32_t sector_size = 4096;      // bytes: 512 or 4096
  std::uint64_t data_offset = 16777216;  // bytes from the start of the device
  Discards discards = Discards::refused;
  Workqueues workqueues = Workqueues::used;
  bool reencrypting = false;  // false in every header that this version writes or accepts
  bool operator==(const Description&) const = default;
};

struct Token {
  Uuid cluster;
  Uuid group;                    // at most 64 volumes made on one node share one
  Uuid volume;                   // equals the LUKS2 header's UUID
  std::string name;              // the name under /dev/mapper; authenticated, so swapped labels are noticed
  std::uint64_t generation = 0;  // of the KEK that wraps the DEK; 1 and up
  std::array<std::uint8_t, 12> nonce{};
  std::array<std::uint8_t, wrapped_dek_size> wrapped_dek{};
  Description description;
  bool operator==(const Token&) const = default;
};

// The additional authenticated data of the wrap: every field but nonce and wrapped_dek, in canonical encoding.
Bytes authenticated_data(const Token& token);

// The JSON that is written: one spelling, sorted as in the struct.
std::string to_json(const Token& token);

// Strict: exactly our members, types and spellings (member order and white space are free, libcryptsetup re-renders
// them). Throws Error with errc::token_version for another format version, errc::token_malformed for anything else.
Token parse_token(std::string_view json);

}  // namespace volcrypt::dm
