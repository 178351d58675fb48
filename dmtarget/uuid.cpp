// Spelling and making of UUIDs, see uuid.hpp.
#include "dmtarget/uuid.hpp"

#include <algorithm>

#include "dmtarget/error.hpp"

namespace volcrypt {
namespace {

constexpr std::size_t text_size = 36;
constexpr bool is_dash_position(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

// RFC 4122 section 4.4: 122 random bits, version 4, variant 10.
Uuid Uuid::random() {
  Uuid uuid;
  fill_random(uuid.bytes_);
  uuid.bytes_[6] = static_cast<std::uint8_t>((uuid.bytes_[6] & 0x0FU) | 0x40U);
  uuid.bytes_[8] = static_cast<std::uint8_t>((uuid.bytes_[8] & 0x3FU) | 0x80U);
  return uuid;
}

Uuid Uuid::parse(std::string_view text) {
  std::string digits;
  bool right = text.size() == text_size;
  for (std::size_t i = 0; right && i < text.size(); ++i) {
    bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    right = is_dash_position(i) ? text[i] == '-' : hex;
    if (hex) digits += text[i];
  }
  if (!right) {
    throw Error(errc::invalid_argument, {"read a UUID in", "a text value",
                                         "The one spelling is lower-case 8-4-4-4-12, as "
                                         "in 0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4."});
  }
  Bytes bytes = from_hex(digits);
  Uuid uuid;
  std::copy(bytes.begin(), bytes.end(), uuid.bytes_.begin());
  return uuid;
}

std::string Uuid::str() const {
  std::string digits = to_hex(bytes_);
  for (std::size_t position : {8U, 13U, 18U, 23U}) digits.insert(position, 1, '-');
  return digits;
}

}  // namespace volcrypt
