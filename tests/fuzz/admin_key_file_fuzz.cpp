// Fuzz target: any bytes as the file of an authority or recovery key.
#include "agent/keys/authority.hpp"
#include "tests/fuzz/text_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace volcrypt;
  fuzz::round_trip(fuzz::text_of(data, size), {errc::token_malformed, errc::token_version}, keys::parse_admin_key_file,
                   [](const auto& file) { return keys::to_json(file); });
  return 0;
}
