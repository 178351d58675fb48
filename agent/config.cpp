// Configuration through CLI11: one description serves the command line and the file (key = value, # comments).
#include "agent/config.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <string>

#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using keys::tpm::StorageAlgorithm;

// Of the owner hierarchy (TPM 2.0 Part 2, section 7.5; TCG Registry of Reserved TPM 2.0 Handles), with 256 to try.
constexpr std::uint32_t first_owner_handle = 0x81000000, last_first_handle = 0x817FFF00;

std::string not_a_handle(const std::string& text) {
  std::size_t read = 0;
  unsigned long handle = 0;
  try {
    handle = std::stoul(text, &read, 16);
  } catch (const std::exception&) {  // said below
  }
  if (read == text.size() && handle >= first_owner_handle && handle <= last_first_handle) return {};
  return text + " is not a persistent handle from 0x81000000 to 0x817FFF00";
}

// "none", alone, is no address.
std::vector<peer::Address> addresses_of(const std::vector<std::string>& texts) {
  std::vector<peer::Address> addresses;
  if (texts.size() == 1 && texts.front() == "none") return addresses;
  for (const std::string& text : texts) addresses.push_back(peer::parse_address(text));
  return addresses;
}

std::string not_an_address(const std::string& text) {
  try {
    if (text != "none") (void)peer::parse_address(text);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::variant<Config, ConfigExit> read_config(std::vector<std::string> arguments,
                                             const std::filesystem::path& default_file) {
  Config config;
  std::string state_directory = config.state_directory, socket = config.socket;
  auto tpm_wait = static_cast<unsigned>(config.tpm_wait.count());
  auto coordinator_lease = static_cast<unsigned>(config.coordinator_lease.count());
  std::string storage_key = "ecc", storage_key_handle = "0x81015600";
  std::vector<std::string> addresses{"none"};

  CLI::App app("volcryptd: the agent that makes encrypted volumes appear under /dev/mapper", "volcryptd");
  app.set_version_flag("--version", "volcryptd " VOLCRYPT_VERSION);
  const bool named = std::any_of(arguments.begin(), arguments.end(),
                                 [](const std::string& argument) { return argument.starts_with("--config"); });
  app.set_config("--config", default_file, "Configuration file: lines of KEY = VALUE, the keys as the options here",
                 named);
  app.get_config_formatter_base()->arrayBounds('(', ')');  // an IPv6 address begins with a bracket
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--state-directory", state_directory, "Store, key blobs and local copies")->capture_default_str();
  app.add_option("--socket", socket, "Control socket for volcryptctl")->capture_default_str();
  app.add_option("--socket-group", config.socket_group, "Group that may use the socket; empty for root alone")
      ->capture_default_str();
  app.add_option("--tcti", config.tcti, "Path to the TPM, as tpm2-tss writes it; none for a machine without a TPM")
      ->capture_default_str();
  app.add_option("--tpm-wait", tpm_wait, "Seconds to wait for a TPM that appears late at boot")
      ->check(CLI::Range(0U, 600U))
      ->capture_default_str();
  app.add_option("--storage-key", storage_key, "How `cluster init` makes the TPM's storage key: ecc, or rsa")
      ->check(CLI::IsMember({"ecc", "rsa"}))
      ->capture_default_str();
  app.add_option("--storage-key-handle", storage_key_handle, "First of 256 persistent handles tried for it")
      ->check(not_a_handle)
      ->capture_default_str();
  app.add_option("--address", addresses,
                 "Addresses for the other nodes, port 4007 unless said, commas between; none: do not listen")
      ->check(not_an_address)
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--device-threads", config.device_threads, "Devices worked on at the same time")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  app.add_option("--coordinator-lease", coordinator_lease,
                 "Seconds after which a node that coordinates a rotation and is silent counts as dead")
      ->check(CLI::Range(10U, 600U))
      ->capture_default_str();

  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    return ConfigExit{code == 0 ? 0 : 2, code == 0 ? out.str() : err.str()};
  }
  config.state_directory = state_directory;
  config.socket = socket;
  config.tpm_wait = std::chrono::seconds(tpm_wait);
  config.coordinator_lease = std::chrono::seconds(coordinator_lease);
  config.storage_key = storage_key == "rsa" ? StorageAlgorithm::rsa_2048 : StorageAlgorithm::ecc_p256;
  try {
    config.addresses = addresses_of(addresses);
  } catch (const Error& error) {  // "none" beside an address
    return ConfigExit{2, std::string("volcryptd: ") + error.what() + "\n"};
  }
  config.storage_key_handle = static_cast<std::uint32_t>(std::stoul(storage_key_handle, nullptr, 16));
  if (!config.state_directory.is_absolute() || !config.socket.is_absolute())
    return ConfigExit{2, "volcryptd: --state-directory and --socket take absolute paths\n"};
  return config;
}

}  // namespace volcrypt
