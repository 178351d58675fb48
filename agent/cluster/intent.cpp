// See intent.hpp.
#include "agent/cluster/intent.hpp"

#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string to_json(const Intent& intent) {
  if (intent.verb == Intention::create) return "create " + to_json(intent.record);
  return "erase " + (intent.drive.empty() ? "" : intent.drive + ' ') + to_json(intent.record);
}

Intent parse_intent(std::string_view json) {
  Intent intent;
  if (take_prefix(json, "erase ")) {
    intent.verb = Intention::erase;
    if (const std::size_t end = json.find(' '); !json.starts_with('{') && end != std::string_view::npos) {
      intent.drive = json.substr(0, end);
      json.remove_prefix(end + 1);
    }
  } else if (!take_prefix(json, "create ")) {
    throw Error(errc::store_damaged, {"read", "a volume intent", "It starts with neither create nor erase."});
  }
  intent.record = parse_volume_record(json);
  return intent;
}

}  // namespace volcrypt::cluster
