// What the documents of this folder have in common in their JSON: the version member, arrays of strings, numbers and
// bytes inside arrays. On top of dmtarget/strict_json. Pure. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster::documents {

inline constexpr std::uint64_t format_version = 1;

inline boost::json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

inline boost::json::object begin() {
  boost::json::object object;
  object["version"] = format_version;
  return object;
}

// The version is looked at first: in another version everything else may be different.
inline void check_version(MemberReader& members, const JsonDocument& document) {
  const auto version = members.number("version");
  if (version == format_version) return;
  throw Error(errc::token_version, {"read", document.what + " of format version " + std::to_string(version),
                                    "Use the volcrypt release that wrote it, or a newer one."});
}

inline std::vector<std::string_view> texts(MemberReader& members, std::string_view name) {
  std::vector<std::string_view> found;
  for (const auto& value : members.array(name)) {
    const auto* text = value.if_string();
    if (text == nullptr) members.refuse(name, "It must hold strings only.");
    found.emplace_back(text->data(), text->size());
  }
  return found;
}

// One spelling only: no sign, no leading zero.
inline std::optional<std::uint64_t> decimal(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return value;
}

// Turns the refusal of a part's own parser into a refusal of the member that holds it.
template <class Parse>
auto read(MemberReader& members, std::string_view name, Parse parse) {
  try {
    return parse();
  } catch (const Error& error) {
    members.refuse(name, error.way_out());
  }
}

}  // namespace volcrypt::cluster::documents
