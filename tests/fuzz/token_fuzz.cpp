// Fuzz target: any bytes as a token. Either they are refused with one of the two causes that parse_token promises, or
// the token survives being written and read again.
#include "dmtarget/token.hpp"
#include "tests/fuzz/text_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace volcrypt;
  try {
    dm::Token token = dm::parse_token(fuzz::text_of(data, size));
    fuzz::demand(dm::parse_token(dm::to_json(token)) == token, "a token that was read is written and read as the same");
    fuzz::demand(token.generation != 0, "generations start at 1");
    fuzz::demand(!dm::authenticated_data(token).empty(), "a token has authenticated data");
  } catch (const Error& error) {
    fuzz::demand(error.code() == errc::token_malformed || error.code() == errc::token_version,
                 "the cause of a refusal");
  }
  return 0;
}
