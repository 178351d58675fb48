// The only place that forms and checks device-mapper names, their UUIDs, keyring descriptions and header labels.
// Pure text. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "dmtarget/uuid.hpp"

namespace volcrypt::dm {

// A volume name: 1 to 38 of [A-Za-z0-9_.-], starting with a letter or digit, so that it needs no escaping under
// /dev/mapper and fits a LUKS2 label (47 bytes) behind the prefix "volcrypt:". "control" is device-mapper's own.
// Throws Error(errc::invalid_argument) that says which rule was broken.
void check_volume_name(std::string_view name);

std::string header_label(std::string_view volume_name);  // "volcrypt:NAME"
inline constexpr std::string_view header_subsystem = "volcrypt";
std::string mapping_path(std::string_view volume_name);                      // "/dev/mapper/NAME"
std::string mapping_uuid(const Uuid& volume, std::string_view volume_name);  // as libcryptsetup forms it
// Tells our mappings from others by their device-mapper UUID: true when it is a LUKS2 mapping of `volume`.
bool is_mapping_of(std::string_view dm_uuid, const Uuid& volume);
std::string keyring_description(const Uuid& volume);  // "cryptsetup:UUID-d0", type logon

}  // namespace volcrypt::dm
