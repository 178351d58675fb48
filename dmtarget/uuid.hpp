// Uuid: 16 bytes with one spelling, lower-case 8-4-4-4-12 (RFC 4122 section 3). A value; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "dmtarget/bytes.hpp"

namespace volcrypt {

class Uuid {
 public:
  Uuid() = default;                          // all zero, "no UUID"
  static Uuid random();                      // version 4
  static Uuid parse(std::string_view text);  // throws Error(errc::invalid_argument) on any other spelling

  std::string str() const;
  ByteView bytes() const noexcept { return bytes_; }
  bool is_nil() const noexcept { return *this == Uuid{}; }
  auto operator<=>(const Uuid&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace volcrypt
