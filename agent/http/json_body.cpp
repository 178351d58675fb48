// Strict JSON over Boost.JSON's incremental parser. Boost.JSON accepts duplicate names, so a first pass over the events
// looks for them; bodies are at most a few MiB.
#include "agent/http/json_body.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>

#include "dmtarget/error.hpp"

namespace volcrypt::http {

namespace {

constexpr std::size_t max_depth = 16;

// Event handler of json::basic_parser: keeps the names of each open object, and nothing of the values.
struct DuplicateFinder {
  static constexpr std::size_t max_object_size = 4096;
  static constexpr std::size_t max_array_size = 65536;
  static constexpr std::size_t max_key_size = 256;
  static constexpr std::size_t max_string_size = 8 * 1024 * 1024;

  std::vector<std::set<std::string>> open;
  std::string key;
  std::string duplicate;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    open.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    key.append(part.data(), part.size());
    if (!open.back().insert(key).second && duplicate.empty()) duplicate = key;
    key.clear();
    return true;
  }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

// Names come from the other side: at most 64 visible characters of them go into an error.
std::string printable(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 64)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view what) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::error_code failed;
  json::basic_parser<DuplicateFinder> finder(options);
  const auto used = finder.write_some(false, text.data(), text.size(), failed);
  if (!failed && used != text.size()) failed = json::error::extra_data;
  if (failed) {
    throw Error(errc::invalid_argument, {"read", std::string(what), "It is not valid JSON: " + failed.message() + "."});
  }
  if (const auto& duplicate = finder.handler().duplicate; !duplicate.empty()) {
    throw Error(errc::invalid_argument,
                {"read", std::string(what), "The member \"" + printable(duplicate) + "\" comes twice."});
  }
  json::value value = json::parse(json::string_view(text.data(), text.size()), failed, {}, options);
  if (failed) {
    throw Error(errc::invalid_argument, {"read", std::string(what), "It is not valid JSON: " + failed.message() + "."});
  }
  return value;
}

JsonObject::JsonObject(std::string_view text, std::string what) : JsonObject(parse_json(text, what), what) {}

JsonObject::JsonObject(const json::value& value, std::string what) : what_(std::move(what)) {
  if (!value.is_object()) refuse("It is not a JSON object.");
  object_ = value.get_object();
}

void JsonObject::refuse(const std::string& why) const { throw Error(errc::invalid_argument, {"read", what_, why}); }

void JsonObject::wrong_type(std::string_view name, std::string_view expected) const {
  refuse("The member \"" + std::string(name) + "\" is not " + std::string(expected) + ".");
}

const json::value* JsonObject::find(std::string_view name) {
  known_.emplace(name);
  return object_.if_contains(json::string_view(name.data(), name.size()));
}

const json::value& JsonObject::need(std::string_view name) {
  const auto* value = find(name);
  if (!value) refuse("The member \"" + std::string(name) + "\" is missing.");
  return *value;
}

std::string JsonObject::string(std::string_view name) {
  const auto* text = need(name).if_string();
  if (!text) wrong_type(name, "a string");
  return {text->data(), text->size()};
}

std::optional<std::string> JsonObject::optional_string(std::string_view name) {
  const auto* value = find(name);
  if (!value || value->is_null()) return std::nullopt;
  return string(name);
}

bool JsonObject::flag(std::string_view name) {
  const auto* value = need(name).if_bool();
  if (!value) wrong_type(name, "true or false");
  return *value;
}

bool JsonObject::flag(std::string_view name, bool otherwise) { return find(name) ? flag(name) : otherwise; }

std::uint64_t JsonObject::number(std::string_view name) {
  const auto& value = need(name);
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
  wrong_type(name, "a whole number from 0 up");
}

Bytes JsonObject::base64(std::string_view name) {
  try {
    return from_base64(string(name));
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument || error.object() == what_) throw;
    wrong_type(name, "base64");
  }
}

std::optional<Bytes> JsonObject::optional_base64(std::string_view name) {
  const auto* value = find(name);
  if (!value || value->is_null()) return std::nullopt;
  return base64(name);
}

Uuid JsonObject::uuid(std::string_view name) {
  const std::string text = string(name);
  try {
    return Uuid::parse(text);
  } catch (const Error&) {  // only its way of saying it is replaced: the member's name is wanted
    wrong_type(name, "a UUID in lower case, 8-4-4-4-12");
  }
}

std::vector<std::string> JsonObject::strings(std::string_view name) {
  const auto* array = need(name).if_array();
  if (!array) wrong_type(name, "an array of strings");
  std::vector<std::string> all;
  for (const auto& value : *array) {
    if (!value.is_string()) wrong_type(name, "an array of strings");
    all.emplace_back(value.get_string().data(), value.get_string().size());
  }
  return all;
}

JsonObject JsonObject::object(std::string_view name) {
  const auto& value = need(name);
  if (!value.is_object()) wrong_type(name, "an object");
  return {value, "\"" + std::string(name) + "\" in " + what_};
}

std::optional<JsonObject> JsonObject::optional_object(std::string_view name) {
  const auto* value = find(name);
  if (!value || value->is_null()) return std::nullopt;
  return object(name);
}

std::vector<JsonObject> JsonObject::objects(std::string_view name) {
  const auto* array = need(name).if_array();
  if (!array) wrong_type(name, "an array of objects");
  std::vector<JsonObject> all;
  for (const auto& value : *array) all.emplace_back(value, "\"" + std::string(name) + "\" in " + what_);
  return all;
}

bool JsonObject::has(std::string_view name) const {
  return object_.if_contains(json::string_view(name.data(), name.size())) != nullptr;
}

const json::value& JsonObject::any(std::string_view name) { return need(name); }

void JsonObject::ignore(std::string_view name) { find(name); }

void JsonObject::finish() const {
  for (const auto& member : object_) {
    const std::string_view name(member.key().data(), member.key().size());
    if (known_.find(name) != known_.end()) continue;
    std::string names;
    for (const auto& known : known_) names += (names.empty() ? "" : ", ") + known;
    refuse("The member \"" + printable(name) + "\" is not known here; known are: " + (names.empty() ? "none" : names) +
           ".");
  }
}

}  // namespace volcrypt::http
