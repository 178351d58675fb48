// See recovery_note.hpp.
#include "agent/cluster/recovery_note.hpp"

#include <boost/json/serialize.hpp>

#include "agent/cluster/documents.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace {

const JsonDocument note_document{"the note that the recovery key was verified", 65536, 2, errc::store_damaged};

}  // namespace

std::string to_json(const RecoveryNote& note) {
  auto object = documents::begin();
  object["at"] = note.at;
  boost::json::array names;
  for (const Bytes& name : note.names) names.emplace_back(to_base64(name));
  object["names"] = std::move(names);
  return boost::json::serialize(object);
}

RecoveryNote parse_recovery_note(std::string_view text) {
  const auto object = parse_object(text, note_document);
  MemberReader members(object, note_document);
  documents::check_version(members, note_document);
  RecoveryNote note;
  note.at = members.text("at");
  if (members.has("names")) {  // a note from before they were kept covers nothing
    for (const std::string_view name : documents::texts(members, "names"))
      note.names.push_back(documents::read(members, "names", [&] { return from_base64(name); }));
  }
  members.finish();
  return note;
}

}  // namespace volcrypt::cluster
