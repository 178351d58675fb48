// Secure Boot as the firmware tells it: the UEFI variable SecureBoot, as efivarfs shows it. Blocking (the firmware is
// asked); any thread. Source: UEFI 2.10 section 3.3; Linux Documentation/filesystems/efivarfs.rst (four bytes of
// attributes before the value).
#pragma once

#include <filesystem>

#include "agent/cluster/member.hpp"

namespace volcrypt {

inline constexpr const char* efi_variables = "/sys/firmware/efi/efivars";

// Absent when `directory` has no such variable. Throws Error with errno when it cannot be read, and
// errc::invalid_argument for a value that the specification does not know.
cluster::SecureBoot read_secure_boot(const std::filesystem::path& directory);

}  // namespace volcrypt
