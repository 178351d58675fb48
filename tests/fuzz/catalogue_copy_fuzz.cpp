// Fuzz target: any bytes as the catalogue's last-known copy, with the checksum that they come with and with the right
// one behind them; and as the value of an intent.
#include "agent/volumes/snapshot.hpp"
#include "dmtarget/canonical.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto try_copy = [](std::string_view copy) {
    fuzz::round_trip(copy, {errc::store_damaged, errc::token_version}, volumes::parse_local_copy,
                     volumes::to_local_copy);
  };
  try_copy(text);
  try_copy(std::string(text) + "sha256 " + to_hex(sha256(as_bytes(text))) + "\n");
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, volumes::parse_intent,
                   [](const volumes::Intent& intent) { return volumes::to_json(intent); });
  return 0;
}
