// Forms of names, see name.hpp. Sources: libcryptsetup's dm_prepare_uuid ("CRYPT-TYPE-UUID-NAME", dashes left out of
// the UUID) and its key description ("cryptsetup:UUID-dDIGEST"); LUKS2 on-disk specification 1.1, section 2.1 (labels
// of 48 bytes with the final zero).
#include "dmtarget/name.hpp"

#include <algorithm>

#include "dmtarget/error.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::string_view label_prefix = "volcrypt:";
constexpr std::size_t label_limit = 47;
constexpr std::size_t name_limit = label_limit - label_prefix.size();

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

[[noreturn]] void refuse(std::string_view name, std::string rule) {
  throw Error(errc::invalid_argument, {"use the volume name", quoted(name), std::move(rule)});
}

std::string uuid_prefix(const Uuid& volume) { return "CRYPT-LUKS2-" + to_hex(volume.bytes()) + "-"; }

}  // namespace

void check_volume_name(std::string_view name) {
  if (name.empty()) refuse(name, "A volume name must not be empty.");
  if (name.size() > name_limit)
    refuse(name, "A volume name has at most " + std::to_string(name_limit) + " characters.");
  if (!is_letter_or_digit(name.front())) refuse(name, "A volume name starts with a letter (A-Z, a-z) or a digit.");
  bool allowed = std::all_of(name.begin(), name.end(),
                             [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
  if (!allowed) refuse(name, "A volume name consists of A-Z, a-z, 0-9, '_', '.' and '-'.");
  if (name == "control") refuse(name, "The name \"control\" is device-mapper's own.");
}

std::string header_label(std::string_view volume_name) {
  check_volume_name(volume_name);
  return std::string(label_prefix) += volume_name;
}

std::string mapping_path(std::string_view volume_name) {
  check_volume_name(volume_name);
  return std::string("/dev/mapper/") += volume_name;
}

std::string mapping_uuid(const Uuid& volume, std::string_view volume_name) {
  check_volume_name(volume_name);
  return uuid_prefix(volume) += volume_name;
}

bool is_mapping_of(std::string_view dm_uuid, const Uuid& volume) { return dm_uuid.starts_with(uuid_prefix(volume)); }

std::string keyring_description(const Uuid& volume) { return "cryptsetup:" + volume.str() + "-d0"; }

}  // namespace volcrypt::dm
