// Fuzz target: any bytes as a recovery bundle.
#include "agent/keys/recovery.hpp"
#include "tests/fuzz/text_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace volcrypt;
  fuzz::round_trip(fuzz::text_of(data, size), {errc::token_malformed, errc::token_version}, keys::parse_recovery_bundle,
                   [](const keys::RecoveryBundle& bundle) { return keys::to_json(bundle); });
  return 0;
}
