// What the documents of port 4007 have in common: format and version first, then members that are all known. Included
// by the two files of messages only. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "agent/keys/documents.hpp"

namespace volcrypt::peer {

// Reads one document's members after its format and version; `read` takes what is its own.
template <class Value, class Read>
Value parse_message(std::string_view text, const JsonDocument& form, const char* format, Read read) {
  const boost::json::object object = parse_object(text, form);
  MemberReader members(object, form);
  keys::read_begin(members, format);
  Value value;
  read(members, value);
  members.finish();
  return value;
}

}  // namespace volcrypt::peer
