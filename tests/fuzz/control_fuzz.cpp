// Request bodies and targets from anybody who may open the control socket: whatever comes, it is read or refused with
// Error(errc::invalid_argument), and what was read renders to what reads the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <boost/json/serialize.hpp>

#include "agent/control/documents.hpp"
#include "agent/http/message.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;

namespace json = boost::json;

namespace {

// Reads; any Error but a refusal of the input is a defect.
template <class Read>
void refuse_or(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) std::abort();
  }
}

// parse(render(parse(text))) must be the same document.
template <class Parse>
void round_trip(std::string_view text, Parse parse) {
  refuse_or([&] {
    const std::string once = json::serialize(control::render(parse(http::JsonObject(text, "the input"))));
    try {
      if (json::serialize(control::render(parse(http::JsonObject(once, "the output")))) != once) std::abort();
    } catch (const Error&) {  // what we render we must read
      std::abort();
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refuse_or([&] { http::parse_target(text); });
  round_trip(text, control::parse_identity_request);
  round_trip(text, control::parse_signed_membership);
  round_trip(text, control::parse_enrolled_node);
  round_trip(text, control::parse_boot_report);
  return 0;
}
