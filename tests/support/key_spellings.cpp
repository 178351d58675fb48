// See key_spellings.hpp.
#include "tests/support/key_spellings.hpp"

#include <algorithm>

namespace volcrypt::test {

namespace {

std::string in_hex(ByteView bytes, std::string_view digits, std::string_view separator) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += separator;
    text += {digits[byte >> 4], digits[byte & 15]};
  }
  return text;
}

// The characters that the key alone decides when `shift` bytes of something else come before it.
std::string in_base64(ByteView bytes, std::size_t shift) {
  Bytes shifted(shift);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  const std::size_t first = (shift * 8 + 5) / 6, end = shifted.size() * 8 / 6;
  return to_base64(shifted).substr(first, end - first);
}

std::string url_safe(std::string base64) {
  std::replace(base64.begin(), base64.end(), '+', '-');
  std::replace(base64.begin(), base64.end(), '/', '_');
  return base64;
}

std::uint16_t beginning(std::string_view text) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(text[0]) << 8 | static_cast<unsigned char>(text[1]));
}

}  // namespace

std::vector<std::string> key_spellings(ByteView part) {
  std::vector<std::string> all;
  const Bytes reversed(part.rbegin(), part.rend());
  for (const ByteView bytes : {part, ByteView(reversed)}) {
    all.emplace_back(bytes.begin(), bytes.end());
    for (const std::string_view digits : {"0123456789abcdef", "0123456789ABCDEF"})
      for (const std::string_view separator : {"", ":", " ", "-", ",", ", ", "\\x", ", 0x", ",0x", " 0x"})
        all.push_back(in_hex(bytes, digits, separator));
  }
  for (const std::size_t shift : {0, 1, 2}) {
    all.push_back(in_base64(part, shift));
    all.push_back(url_safe(all.back()));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

KeySearch::KeySearch(std::vector<std::string> needles) : needles_(std::move(needles)) {
  for (const std::string& needle : needles_) {
    beginnings_.set(beginning(needle));
    by_beginning_.emplace(beginning(needle), &needle);
  }
}

bool KeySearch::finds_in(std::string_view content) const {
  for (std::size_t at = 0; at + 2 <= content.size(); ++at) {
    const std::uint16_t here = beginning(content.substr(at, 2));
    if (!beginnings_.test(here)) continue;
    const auto [first, last] = by_beginning_.equal_range(here);
    if (std::any_of(first, last, [&](const auto& entry) { return content.substr(at).starts_with(*entry.second); }))
      return true;
  }
  return false;
}

}  // namespace volcrypt::test
