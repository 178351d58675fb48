// Key spellings: how the bytes of a key may stand in a file, a log or a core, and a search for all of them at once: raw
// in both byte orders, hexadecimal in both cases with the usual separators, base64 wherever the key begins in the
// encoded text. For leak tests only: the needles are copies of the key. Pure; any thread.
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dmtarget/bytes.hpp"

namespace volcrypt::test {

// `part` as it may be written, beside anything. At least 8 bytes: shorter ones are found by chance.
std::vector<std::string> key_spellings(ByteView part);

class KeySearch {
 public:
  explicit KeySearch(std::vector<std::string> needles);  // each of at least 4 bytes
  const std::vector<std::string>& needles() const noexcept { return needles_; }
  bool finds_in(std::string_view content) const;  // one pass, however many needles

 private:
  std::vector<std::string> needles_;
  std::bitset<65536> beginnings_;  // the first two bytes of each needle
  std::unordered_multimap<std::uint16_t, const std::string*> by_beginning_;
};

}  // namespace volcrypt::test
