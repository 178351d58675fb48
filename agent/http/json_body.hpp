// Strict reading of a JSON request or response body: every member must be known, of the right type, and come once.
// Errors name the member, so that a typing mistake is found without looking at the source. Pure. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dmtarget/bytes.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::http {

namespace json = boost::json;

// Depth at most 16; a name that comes twice in one object is refused (Boost.JSON alone would keep the last).
// Throws Error(errc::invalid_argument) that says "cannot read WHAT" with line of thought, never the content.
json::value parse_json(std::string_view text, std::string_view what);

// One object, read member by member; `finish` refuses what was not read. Every reader throws
// Error(errc::invalid_argument) naming the member when it is missing or of another type.
class JsonObject {
 public:
  // `what` names the whole in errors: "the request's body".
  JsonObject(std::string_view text, std::string what);
  JsonObject(const char* text, std::string what) : JsonObject(std::string_view(text), std::move(what)) {}
  JsonObject(const json::value& value, std::string what);

  std::string string(std::string_view name);
  std::optional<std::string> optional_string(std::string_view name);
  bool flag(std::string_view name, bool otherwise);  // `otherwise` when it is missing
  bool flag(std::string_view name);
  std::uint64_t number(std::string_view name);
  Bytes base64(std::string_view name);
  std::optional<Bytes> optional_base64(std::string_view name);
  Uuid uuid(std::string_view name);
  std::vector<std::string> strings(std::string_view name);
  JsonObject object(std::string_view name);
  std::optional<JsonObject> optional_object(std::string_view name);  // missing or null
  std::vector<JsonObject> objects(std::string_view name);
  bool has(std::string_view name) const;
  const json::value& any(std::string_view name);
  void ignore(std::string_view name);  // known, whether there or not
  void finish() const;

 private:
  const json::value* find(std::string_view name);
  const json::value& need(std::string_view name);
  [[noreturn]] void refuse(const std::string& why) const;
  [[noreturn]] void wrong_type(std::string_view name, std::string_view expected) const;

  json::object object_;
  std::string what_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace volcrypt::http
