// Fuzz target: any bytes as a admin key file. Either they are refused with one of the two causes that the parser
// promises, or what was read is written and read again as the same.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "agent/keys/authority.hpp"
#include "dmtarget/error.hpp"

namespace {

void demand(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << '\n';
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace volcrypt;
  try {
    const std::string text = keys::to_json(keys::parse_admin_key_file({reinterpret_cast<const char*>(data), size}));
    demand(keys::to_json(keys::parse_admin_key_file(text)) == text, "what was read is written and read as the same");
  } catch (const Error& error) {
    demand(error.code() == errc::token_malformed || error.code() == errc::token_version, "the cause of a refusal");
  }
  return 0;
}
