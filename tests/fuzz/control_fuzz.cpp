// Request bodies and targets from anybody who may open the control socket: whatever comes, it is read or refused with
// Error(errc::invalid_argument), and what was read renders to what reads the same.
#include <boost/json/serialize.hpp>

#include "agent/control/documents.hpp"
#include "agent/http/message.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

template <class Parse>
void try_as(std::string_view text, Parse parse) {
  fuzz::round_trip(
      text, {errc::invalid_argument}, [&](std::string_view body) { return parse(http::JsonObject(body, "the input")); },
      [](const auto& document) { return boost::json::serialize(control::render(document)); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  try {
    http::parse_target(text);
  } catch (const Error& error) {
    fuzz::demand(error.code() == errc::invalid_argument, error.what());
  }
  try_as(text, control::parse_enrol_request);
  try_as(text, control::parse_signed_membership);
  try_as(text, control::parse_enrolled_node);
  try_as(text, control::parse_boot_report);
  return 0;
}
