// Fuzz target: any bytes as a membership document, as a signed one, and as one that is to be opened: no signature of
// ours stands under it, so it is never accepted.
#include "agent/cluster/membership.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto write = [](const auto& document) { return cluster::to_json(document); };
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, cluster::parse_membership, write);
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, cluster::parse_signed_membership, write);
  try {
    cluster::open_membership({std::string(text), Bytes(64, 1)}, nullptr);
    fuzz::demand(false, "nothing unsigned is opened");
  } catch (const Error& error) {
    fuzz::demand(error.code() == errc::token_malformed || error.code() == errc::token_version ||
                     error.code() == errc::bad_signature || error.code() == errc::invalid_argument,
                 error.what());
  }
  return 0;
}
