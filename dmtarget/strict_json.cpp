// Strict JSON on Boost.JSON, see strict_json.hpp. Two passes: a handler that only looks for members that stand twice
// (Boost.JSON's own tree keeps the last one silently), then the tree.
#include "dmtarget/strict_json.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <limits>
#include <set>

namespace volcrypt {
namespace {

namespace json = boost::json;

// Events of json::basic_parser; notes the names of each open object.
class DuplicateFinder {
 public:
  using Code = json::error_code;
  using Text = json::string_view;
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  bool on_key_part(Text part, std::size_t, Code&) { return on_text(part); }
  bool on_key(Text part, std::size_t, Code& code) {
    key_ += std::string_view(part.data(), part.size());
    if (!open_.back().insert(std::move(key_)).second) {
      code = make_error_code(errc::invalid_argument);
      return false;
    }
    key_.clear();
    return true;
  }
  bool on_object_begin(Code&) {
    open_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, Code&) {
    open_.pop_back();
    return true;
  }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_array_begin(Code&) { return true; }
  bool on_array_end(std::size_t, Code&) { return true; }
  bool on_string_part(Text, std::size_t, Code&) { return true; }
  bool on_string(Text, std::size_t, Code&) { return true; }
  bool on_number_part(Text, Code&) { return true; }
  bool on_int64(std::int64_t, Text, Code&) { return true; }
  bool on_uint64(std::uint64_t, Text, Code&) { return true; }
  bool on_double(double, Text, Code&) { return true; }
  bool on_bool(bool, Code&) { return true; }
  bool on_null(Code&) { return true; }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

 private:
  bool on_text(Text part) {
    key_ += std::string_view(part.data(), part.size());
    return true;
  }

  std::vector<std::set<std::string>> open_;
  std::string key_;
};

[[noreturn]] void refuse_document(const JsonDocument& document, std::string rule) {
  throw Error(document.refusal, {"read", document.what, std::move(rule)});
}

}  // namespace

json::object parse_object(std::string_view text, const JsonDocument& document) {
  if (text.size() > document.byte_limit) {
    refuse_document(document, "It has " + std::to_string(text.size()) + " bytes; at most " +
                                  std::to_string(document.byte_limit) + " are allowed.");
  }
  json::parse_options options;
  options.max_depth = document.depth_limit;
  json::error_code code;
  json::basic_parser<DuplicateFinder> finder(options);
  std::size_t used = finder.write_some(false, text.data(), text.size(), code);
  if (code == make_error_code(errc::invalid_argument)) refuse_document(document, "It has a member twice.");
  if (!code && used < text.size()) code = json::make_error_code(json::error::extra_data);
  if (code) refuse_document(document, "It is not JSON that is allowed here (" + code.message() + ").");

  json::value value = json::parse({text.data(), text.size()}, code, {}, options);
  if (code) refuse_document(document, "It is not JSON that is allowed here (" + code.message() + ").");
  if (!value.is_object()) refuse_document(document, "It must be a JSON object.");
  return std::move(value.get_object());
}

MemberReader::MemberReader(const json::object& object, const JsonDocument& document)
    : object_(object), document_(document) {}

void MemberReader::refuse(std::string_view name, std::string rule) const {
  throw Error(document_.refusal, {"read", "the member " + quoted(name) + " of " + document_.what, std::move(rule)});
}

const json::value& MemberReader::take(std::string_view name) {
  auto member = object_.find({name.data(), name.size()});
  if (member == object_.end()) refuse(name, "It is missing.");
  taken_.emplace_back(member->key().data(), member->key().size());
  return member->value();
}

bool MemberReader::has(std::string_view name) const { return object_.contains({name.data(), name.size()}); }

std::string_view MemberReader::text(std::string_view name) {
  const json::string* text = take(name).if_string();
  if (text == nullptr) refuse(name, "It must be a string.");
  return {text->data(), text->size()};
}

bool MemberReader::flag(std::string_view name) {
  const bool* flag = take(name).if_bool();
  if (flag == nullptr) refuse(name, "It must be true or false.");
  return *flag;
}

std::uint64_t MemberReader::number(std::string_view name) {
  const json::value& value = take(name);
  if (const std::uint64_t* large = value.if_uint64()) return *large;
  const std::int64_t* number = value.if_int64();
  if (number == nullptr || *number < 0) refuse(name, "It must be an integer, zero or more.");
  return static_cast<std::uint64_t>(*number);
}

std::uint32_t MemberReader::number32(std::string_view name) {
  std::uint64_t value = number(name);
  if (value > std::numeric_limits<std::uint32_t>::max()) refuse(name, "It must be below 2^32.");
  return static_cast<std::uint32_t>(value);
}

std::uint64_t MemberReader::decimal_string(std::string_view name) {
  std::string_view digits = text(name);
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || (digits.size() > 1 && digits.front() == '0')) {
    refuse(name, "It must be a string of decimal digits for a number below 2^64, without leading zeros.");
  }
  return value;
}

Uuid MemberReader::uuid(std::string_view name) {
  std::string_view spelling = text(name);
  try {
    return Uuid::parse(spelling);
  } catch (const Error& error) {
    refuse(name, error.way_out());
  }
}

Bytes MemberReader::base64(std::string_view name) {
  std::string_view spelling = text(name);
  try {
    return from_base64(spelling);
  } catch (const Error& error) {
    refuse(name, error.way_out());
  }
}

Bytes MemberReader::base64(std::string_view name, std::size_t exact_size) {
  Bytes bytes = base64(name);
  if (bytes.size() != exact_size) refuse(name, "It must be base64 of " + std::to_string(exact_size) + " bytes.");
  return bytes;
}

const json::array& MemberReader::array(std::string_view name) {
  const json::array* array = take(name).if_array();
  if (array == nullptr) refuse(name, "It must be an array.");
  return *array;
}

const json::object& MemberReader::object(std::string_view name) {
  const json::object* object = take(name).if_object();
  if (object == nullptr) refuse(name, "It must be an object.");
  return *object;
}

void MemberReader::finish() const {
  for (const auto& member : object_) {
    std::string_view key(member.key().data(), member.key().size());
    if (std::find(taken_.begin(), taken_.end(), key) == taken_.end()) refuse(key, "It is unknown to this release.");
  }
}

}  // namespace volcrypt
