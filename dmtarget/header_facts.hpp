// From a LUKS2 header's metadata (JSON and the fields of the binary header) to HeaderFacts and our token, and the
// comparison of the two. Pure: no device, no libcryptsetup. Source: LUKS2 on-disk specification 1.1, section 3.
// Any thread.
#pragma once

#include <string>
#include <string_view>

#include "dmtarget/luks.hpp"

namespace volcrypt::dm {

struct HeaderText {
  std::string json, label, subsystem, uuid;
};

struct OurHeader {
  HeaderFacts facts;
  Token token;
  int token_slot = 0;  // its number in the header
};

// `device` is for error texts. Throws Error: errc::not_ours (another subsystem, no token of ours),
// errc::header_damaged (no JSON behind a good checksum), errc::header_changed (two tokens of ours), token errors.
OurHeader parse_our_header(const HeaderText& text, const std::string& device);

// Throws Error(errc::header_changed) that names each difference.
void check_facts(const HeaderFacts& facts, const Token& token, const std::string& device);

}  // namespace volcrypt::dm
