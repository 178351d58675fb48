// Strict reading of JSON documents from drives, files and peers: a size limit, a depth limit, valid UTF-8, no member
// twice, no unknown member, exact types. Every refusal is an Error that names the member. Values only; any thread.
// Source: RFC 8259. Member order and white space are free, because other software renders our documents again.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dmtarget/bytes.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt {

// What is read, for errors ("the volcrypt token"), and the limits and the cause of refusals.
struct JsonDocument {
  std::string what;
  std::size_t byte_limit = 4096;
  std::size_t depth_limit = 8;
  errc refusal = errc::token_malformed;
};

// The document must be one object. Throws Error(document.refusal).
boost::json::object parse_object(std::string_view text, const JsonDocument& document);

// Takes the members of one object, each exactly once; finish() refuses what was not taken. Keeps references to both
// arguments. Every function throws Error(document.refusal) for a missing member or another type or spelling.
class MemberReader {
 public:
  MemberReader(const boost::json::object& object, const JsonDocument& document);

  bool has(std::string_view name) const;  // for members that may be left out
  std::string_view text(std::string_view name);
  bool flag(std::string_view name);
  std::uint64_t number(std::string_view name);          // a JSON integer, 0 and up
  std::uint32_t number32(std::string_view name);        // the same, below 2^32
  std::uint64_t decimal_string(std::string_view name);  // 64-bit as LUKS2 writes it: "123", no sign, no leading zero
  Uuid uuid(std::string_view name);
  Bytes base64(std::string_view name);                          // the canonical spelling only
  Bytes base64(std::string_view name, std::size_t exact_size);  // bytes after decoding
  const boost::json::array& array(std::string_view name);
  const boost::json::object& object(std::string_view name);
  void finish() const;

  [[noreturn]] void refuse(std::string_view name, std::string rule) const;

 private:
  const boost::json::value& take(std::string_view name);

  const boost::json::object& object_;
  const JsonDocument& document_;
  std::vector<std::string_view> taken_;  // the object's own keys
};

}  // namespace volcrypt
