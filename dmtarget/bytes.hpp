// Names for byte sequences that are not secret, and their two spellings (lower-case hex, base64). Secrets have a type
// of their own, see secret.hpp. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volcrypt {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using Digest = std::array<std::uint8_t, 32>;  // SHA-256

ByteView as_bytes(std::string_view text) noexcept;

// Random bytes from the operating system (getrandom(2)); for nonces and identifiers. Keys: Secret::random.
void fill_random(std::span<std::uint8_t> bytes);

std::string to_hex(ByteView bytes);
// Throws Error(errc::invalid_argument) unless `text` is an even number of lower-case hex digits.
Bytes from_hex(std::string_view text);

std::string to_base64(ByteView bytes);  // RFC 4648 section 4, with padding
// Accepts the one canonical spelling only (right padding, zero trailing bits); throws Error(errc::invalid_argument).
Bytes from_base64(std::string_view text);

}  // namespace volcrypt
