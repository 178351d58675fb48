// See snapshot.hpp.
#include "agent/volumes/snapshot.hpp"

#include <algorithm>

#include "dmtarget/canonical.hpp"

namespace volcrypt::volumes {

namespace {

constexpr std::string_view copy_head = "volcrypt catalogue 1";

[[noreturn]] void damaged(const std::string& rule) {
  throw Error(errc::store_damaged, {"read", "the local copy of the catalogue (" + rule + ")", ""});
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) damaged("a line does not end");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

bool take_prefix(std::string_view& line, std::string_view prefix) {
  if (!line.starts_with(prefix)) return false;
  line.remove_prefix(prefix.size());
  return true;
}

Uuid uuid_in(std::string_view line) {
  try {
    return Uuid::parse(line);
  } catch (const Error&) {  // a request's cause would mislead: the file is what is wrong
    damaged("a UUID is spelled otherwise");
  }
}

}  // namespace

std::string Unreadable::name() const {
  std::string_view rest = key;
  return take_prefix(rest, "volume/") || take_prefix(rest, "intent/") ? std::string(rest) : std::string();
}

Error refusal(const Unreadable& entry) {
  const std::string name = entry.name();
  return Error(errc::store_damaged,
               {"use volume", name,
                "The catalogue's entry " + entry.key + " cannot be read: " + entry.cause +
                    " The volume is not lost. Write the entry anew from its drive with `volcryptctl attach " + name +
                    " --device DEVICE`; if the drive is gone for good: `volcryptctl forget volume " + name +
                    "`; if a newer release wrote it, install that one. Until then no KEK generation is retired."});
}

const Unreadable* Snapshot::unreadable_named(std::string_view name) const {
  const auto found =
      std::find_if(unreadable.begin(), unreadable.end(), [&](const auto& entry) { return entry.name() == name; });
  return found == unreadable.end() ? nullptr : &*found;
}

bool Snapshot::may_need_any_generation() const {
  return std::any_of(unreadable.begin(), unreadable.end(), [](const auto& entry) { return !entry.name().empty(); });
}

const cluster::VolumeRecord* Snapshot::named(std::string_view name) const {
  const auto found =
      std::find_if(volumes.begin(), volumes.end(), [&](const auto& record) { return record.name == name; });
  return found == volumes.end() ? nullptr : &*found;
}

const cluster::VolumeRecord* Snapshot::of(const Uuid& volume) const {
  const auto found =
      std::find_if(volumes.begin(), volumes.end(), [&](const auto& record) { return record.volume == volume; });
  return found == volumes.end() ? nullptr : &*found;
}

const Intent* Snapshot::intent_named(std::string_view name) const {
  const auto found =
      std::find_if(intents.begin(), intents.end(), [&](const auto& intent) { return intent.record.name == name; });
  return found == intents.end() ? nullptr : &*found;
}

std::string to_local_copy(const Snapshot& snapshot) {
  std::string text(copy_head);
  text += '\n';
  for (const cluster::VolumeRecord& record : snapshot.volumes) text += "volume " + cluster::to_json(record) + '\n';
  for (const Intent& intent : snapshot.intents) text += "intent " + to_json(intent) + '\n';
  for (const Uuid& volume : snapshot.erased) text += "erased " + volume.str() + '\n';
  for (const Uuid& volume : snapshot.forgotten) text += "forgotten " + volume.str() + '\n';
  return text + "sha256 " + to_hex(sha256(as_bytes(text))) + '\n';
}

Snapshot parse_local_copy(std::string_view text) {
  const std::string_view whole = text;
  if (next_line(text) != copy_head) damaged("another format");
  Snapshot snapshot;
  snapshot.freshness = Freshness::last_known;
  for (;;) {
    const std::size_t here = whole.size() - text.size();
    std::string_view line = next_line(text);
    if (take_prefix(line, "volume ")) {
      snapshot.volumes.push_back(cluster::parse_volume_record(line));
    } else if (take_prefix(line, "intent ")) {
      snapshot.intents.push_back(parse_intent(line));
    } else if (take_prefix(line, "erased ")) {
      snapshot.erased.insert(uuid_in(line));
    } else if (take_prefix(line, "forgotten ")) {
      snapshot.forgotten.insert(uuid_in(line));
    } else if (take_prefix(line, "sha256 ")) {
      if (line != to_hex(sha256(as_bytes(whole.substr(0, here)))) || !text.empty()) damaged("the checksum is wrong");
      return snapshot;
    } else {
      damaged("an unknown line");
    }
  }
}

}  // namespace volcrypt::volumes
