// Hex, base64 and random bytes, see bytes.hpp. Table look-ups depend on the data: for public bytes only.
#include "dmtarget/bytes.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "dmtarget/error.hpp"

namespace volcrypt {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

[[noreturn]] void refuse(const char* operation, const char* rule) {
  throw Error(errc::invalid_argument, {operation, "a text value", rule});
}

std::uint32_t hex_value(char digit) {
  auto position = hex_digits.find(digit);
  if (position == std::string_view::npos)
    refuse("read hex in", "Only the digits 0-9 and a-f (lower case) are allowed.");
  return static_cast<std::uint32_t>(position);
}

std::uint32_t base64_value(char digit) {
  auto position = base64_digits.find(digit);
  if (position == std::string_view::npos) refuse("read base64 in", "Only A-Z, a-z, 0-9, + and / are allowed.");
  return static_cast<std::uint32_t>(position);
}

}  // namespace

ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void fill_random(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(errno_code(errno), {"read random bytes from", "the kernel", ""});
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    text += hex_digits[byte >> 4U];
    text += hex_digits[byte & 15U];
  }
  return text;
}

Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0) refuse("read hex in", "It must have an even number of digits.");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(hex_value(text[i]) << 4U | hex_value(text[i + 1])));
  }
  return bytes;
}

std::string to_base64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < here ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= here ? base64_digits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

Bytes from_base64(std::string_view text) {
  if (text.size() % 4 != 0) refuse("read base64 in", "Its length must be a multiple of four, padding included.");
  std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t pad = i + 4 == text.size() ? padding : 0;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) group = group << 6U | (k < 4 - pad ? base64_value(text[i + k]) : 0U);
    if ((pad == 1 && (group & 0xFFU) != 0) || (pad == 2 && (group & 0xFFFFU) != 0)) {
      refuse("read base64 in", "The bits behind the last byte must be zero.");
    }
    for (std::size_t k = 0; k < 3 - pad; ++k) bytes.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * k)));
  }
  return bytes;
}

}  // namespace volcrypt
