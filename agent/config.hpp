// Configuration of volcryptd: command line over configuration file over defaults. Pure but for reading that one file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/keys/tpm/tpm_facts.hpp"
#include "agent/peer/address.hpp"
#include "agent/secure_boot.hpp"

namespace volcrypt {

struct Config {
  std::filesystem::path state_directory = "/var/lib/volcrypt";
  std::filesystem::path socket = "/run/volcrypt/control.sock";
  std::string socket_group = "volcrypt";    // empty: root alone
  std::string tcti = "device:/dev/tpmrm0";  // "none": a machine without a TPM
  std::chrono::seconds tpm_wait{20};        // for a TPM that appears late at boot
  // How `cluster init` makes the storage key, and the first of 256 persistent handles that it tries. A key that is
  // there already stays as it is.
  keys::tpm::StorageAlgorithm storage_key = keys::tpm::StorageAlgorithm::ecc_p256;
  std::uint32_t storage_key_handle = 0x81015600;
  // Where this node listens for the others, and what they are told; empty: it does not listen.
  std::vector<peer::Address> addresses;
  std::size_t device_threads = 4;                  // devices worked on at the same time
  std::chrono::seconds coordinator_lease{60};      // so long after its last word a coordinator counts as dead
  std::filesystem::path firmware = efi_variables;  // not an option: only a test has another firmware
  bool operator==(const Config&) const = default;
};

// The program is to end at once: --help, --version, or a refusal.
struct ConfigExit {
  int code = 0;
  std::string text;  // for standard output when code is 0, else for standard error
};

inline constexpr const char* default_config_file = "/etc/volcrypt/volcryptd.conf";

// `arguments` without the program's name. Unknown options and keys are refused; a file named by --config must exist,
// the default one need not.
std::variant<Config, ConfigExit> read_config(std::vector<std::string> arguments,
                                             const std::filesystem::path& default_file = default_config_file);

}  // namespace volcrypt
