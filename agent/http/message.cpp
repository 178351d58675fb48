// Targets of HTTP requests: splitting, decoding, escaping. Pure text. Any thread.
#include "agent/http/message.hpp"

#include <algorithm>

#include "dmtarget/error.hpp"

namespace volcrypt::http {

namespace {

Error bad_target(const std::string& what) {
  return Error(errc::invalid_argument, {"read", "the request's target", what});
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) throw bad_target("A '%' is not followed by two hexadecimal digits.");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) throw bad_target("It holds a control character.");
    out += c;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string_view to_text(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::del:
      return "DELETE";
  }
  return "?";
}

Target parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') throw bad_target("It does not begin with a slash.");
  Target result;
  const auto question = target.find('?');
  for (const auto part : split(target.substr(1, question == std::string_view::npos ? question : question - 1), '/')) {
    std::string segment = unescape(part);
    if (segment == "." || segment == "..") throw bad_target("Relative segments are not allowed.");
    result.segments.push_back(std::move(segment));
  }
  if (question == std::string_view::npos || question + 1 == target.size()) return result;
  for (const auto part : split(target.substr(question + 1), '&')) {
    const auto equal = part.find('=');
    std::string name = unescape(part.substr(0, equal));
    std::string value = equal == std::string_view::npos ? std::string() : unescape(part.substr(equal + 1));
    if (name.empty()) throw bad_target("A query parameter has no name.");
    if (!result.query.emplace(name, std::move(value)).second) {
      throw bad_target("The query parameter '" + name + "' comes twice.");
    }
  }
  return result;
}

std::string escape(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

}  // namespace volcrypt::http
