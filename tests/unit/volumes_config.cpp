// The daemon's configuration: defaults, file, command line, and refusals that name the option.
#include <boost/test/unit_test.hpp>

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "agent/config.hpp"

namespace volcrypt {

namespace {

struct ConfigFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("volcryptd-conf-" + std::to_string(::getpid()));
  explicit ConfigFile(const std::string& text) { std::ofstream(path) << text; }
  ~ConfigFile() { std::filesystem::remove(path); }
};

const std::filesystem::path nowhere = "/nonexistent/volcryptd.conf";

Config accepted(std::vector<std::string> arguments, const std::filesystem::path& file = nowhere) {
  const auto read = read_config(std::move(arguments), file);
  const auto* end = std::get_if<ConfigExit>(&read);
  BOOST_REQUIRE_MESSAGE(end == nullptr, (end != nullptr ? end->text : ""));
  return std::get<Config>(read);
}

ConfigExit ended(std::vector<std::string> arguments, const std::filesystem::path& file = nowhere) {
  const auto read = read_config(std::move(arguments), file);
  BOOST_REQUIRE(std::holds_alternative<ConfigExit>(read));
  return std::get<ConfigExit>(read);
}

std::set<std::string> options_in(const std::string& text, const std::regex& option) {
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), option), end; at != end; ++at) found.insert((*at)[1]);
  return found;
}

// What may stand in the file: every option but those that only make sense on the command line.
std::set<std::string> keys_of_help() {
  std::set<std::string> keys = options_in(ended({"--help"}).text, std::regex("--([a-z-]+)"));
  for (const char* not_a_key : {"config", "help", "version"}) keys.erase(not_a_key);
  return keys;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_config)

BOOST_AUTO_TEST_CASE(without_a_file_the_defaults_hold) {
  const Config config = accepted({});
  BOOST_TEST(config.state_directory == "/var/lib/volcrypt");
  BOOST_TEST(config.socket == "/run/volcrypt/control.sock");
  BOOST_TEST(config.tcti == "device:/dev/tpmrm0");
  BOOST_TEST(config.device_threads == 4U);
}

BOOST_AUTO_TEST_CASE(the_default_file_is_read_when_it_is_there) {
  const ConfigFile file("# a comment\ntcti = \"swtpm:host=127.0.0.1,port=2321\"\ntpm-wait = 3\n");
  const Config config = accepted({}, file.path);
  BOOST_TEST(config.tcti == "swtpm:host=127.0.0.1,port=2321");
  BOOST_TEST(config.tpm_wait.count() == 3);
}

BOOST_AUTO_TEST_CASE(the_command_line_overrules_the_file) {
  const ConfigFile file("tpm-wait = 3\nstate-directory = /srv/a\n");
  const Config config = accepted({"--config", file.path.string(), "--tpm-wait", "9"});
  BOOST_TEST(config.tpm_wait.count() == 9);
  BOOST_TEST(config.state_directory == "/srv/a");
}

BOOST_AUTO_TEST_CASE(a_file_that_was_named_must_exist) {
  const ConfigExit end = ended({"--config", "/nonexistent/x.conf"});
  BOOST_TEST(end.code != 0);
  BOOST_TEST(end.text.find("/nonexistent/x.conf") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_unknown_key_in_the_file_is_refused_by_name) {
  const ConfigFile file("sate-directory = /srv/a\n");
  const ConfigExit end = ended({"--config", file.path.string()});
  BOOST_TEST(end.code != 0);
  BOOST_TEST(end.text.find("sate-directory") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_unknown_option_is_refused_by_name) {
  const ConfigExit end = ended({"--fast"});
  BOOST_TEST(end.code != 0);
  BOOST_TEST(end.text.find("--fast") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(numbers_out_of_range_are_refused) {
  BOOST_TEST(ended({"--tpm-wait", "-1"}).code != 0);
  BOOST_TEST(ended({"--tpm-wait", "601"}).code != 0);
  BOOST_TEST(ended({"--device-threads", "0"}).code != 0);
  BOOST_TEST(ended({"--device-threads", "many"}).code != 0);
  BOOST_TEST(ended({"--coordinator-lease", "9"}).code != 0);
  BOOST_TEST(ended({"--coordinator-lease", "601"}).code != 0);
  BOOST_TEST(accepted({"--coordinator-lease", "10"}).coordinator_lease.count() == 10);
}

BOOST_AUTO_TEST_CASE(addresses_for_other_nodes_are_a_list_of_numbers_and_none_is_no_address) {
  const ConfigFile file("address = [2001:db8::7]:4008,192.0.2.7\ntpm-wait = 3\n");
  const Config config = accepted({}, file.path);
  BOOST_REQUIRE(config.addresses.size() == 2U);
  BOOST_TEST(peer::to_text(config.addresses[0]) == "[2001:db8::7]:4008");
  BOOST_TEST(peer::to_text(config.addresses[1]) == "192.0.2.7:4007");
  BOOST_TEST(config.tpm_wait.count() == 3);
  BOOST_TEST(accepted({"--address", "none"}).addresses.empty());
  BOOST_TEST(accepted({"--address", "2001:db8::7"}).addresses.size() == 1U);
  for (const char* wrong : {"node7", "192.0.2.7:0", "0.0.0.0", "192.0.2.7,none", "none,192.0.2.7"})
    BOOST_TEST_CONTEXT(wrong) { BOOST_TEST(ended({"--address", wrong}).code != 0); }
}

BOOST_AUTO_TEST_CASE(relative_paths_are_refused) {
  BOOST_TEST(ended({"--state-directory", "state"}).code != 0);
  BOOST_TEST(ended({"--socket", "control.sock"}).code != 0);
}

BOOST_AUTO_TEST_CASE(the_storage_key_is_ecc_or_rsa_at_a_persistent_handle_of_the_owner) {
  const ConfigFile file("storage-key = rsa\nstorage-key-handle = 0x81020000\n");
  const Config config = accepted({}, file.path);
  BOOST_TEST((config.storage_key == keys::tpm::StorageAlgorithm::rsa_2048));
  BOOST_TEST(config.storage_key_handle == 0x81020000U);
  BOOST_TEST((accepted({}).storage_key == keys::tpm::StorageAlgorithm::ecc_p256));
  for (const char* wrong : {"0x80FFFFFF", "0x817FFF01", "0x81020000x", "first", ""}) BOOST_TEST_CONTEXT(wrong) {
      BOOST_TEST(ended({"--storage-key-handle", wrong}).code != 0);
    }
  BOOST_TEST(ended({"--storage-key", "dsa"}).code != 0);
}

// The file says of itself that its lines with a # are the defaults.
BOOST_AUTO_TEST_CASE(the_shipped_file_shows_every_default_and_nothing_else) {
  std::string uncommented;
  std::set<std::string> shown;
  std::ifstream shipped(VOLCRYPT_TEST_DATA "/../../systemd/volcryptd.conf");
  const std::regex setting("# ([a-z-]+) = (.*)");
  for (std::string line; std::getline(shipped, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, setting)) continue;
    shown.insert(found[1]);
    uncommented += found[1].str() + " = \"" + found[2].str() + "\"\n";
  }
  BOOST_TEST(shown == keys_of_help(), boost::test_tools::per_element());
  const ConfigFile file(uncommented);
  BOOST_TEST((accepted({}, file.path) == Config{}));
}

BOOST_AUTO_TEST_CASE(the_manual_page_explains_every_key_and_no_other) {
  std::ifstream page(VOLCRYPT_TEST_DATA "/../../agent/cli/volcryptd.8.scd");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  std::set<std::string> explained = options_in(text, std::regex("\\*--([a-z-]+)\\*"));
  for (const char* not_a_key : {"config", "help", "version"}) explained.erase(not_a_key);
  BOOST_TEST(explained == keys_of_help(), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(help_and_version_end_with_success) {
  BOOST_TEST(ended({"--help"}).code == 0);
  BOOST_TEST(ended({"--help"}).text.find("--state-directory") != std::string::npos);
  BOOST_TEST(ended({"--version"}).code == 0);
  BOOST_TEST(ended({"--version"}).text.starts_with("volcryptd "));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
