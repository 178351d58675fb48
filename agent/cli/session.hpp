// Session: what every verb needs of one run of volcryptctl: the agent, the passphrases, the wanted format, and whether
// a person watches. And the options of each verb, as parsed. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/api_client.hpp"
#include "agent/cli/exit_status.hpp"
#include "agent/cli/output.hpp"
#include "agent/cli/passphrase.hpp"
#include "agent/control/enrolled_node.hpp"

namespace volcrypt::cli {

struct Settings {
  std::string socket = "/run/volcrypt/control.sock";
  Format format = Format::human;
  std::vector<int> passphrase_fds;
};

class Session {
 public:
  explicit Session(const Settings& settings)
      : agent(settings.socket), passphrases(settings.passphrase_fds), format(settings.format) {}

  ApiClient agent;
  Passphrases passphrases;
  Format format;

  // JSON or YAML as it is, `human` for people.
  void show(const json::value& value, const std::string& human) const;
  // One line for people on standard error: progress, hints. Silent in no format, so that nothing is hidden.
  void note(const std::string& line) const;
  bool watched() const;         // standard error is a terminal
  std::size_t columns() const;  // of that terminal, at least 20; 80 when it does not say
};

enum class Reuse { no, yes };
enum class Confirmation { ask, given };
enum class Waiting { no, yes };
enum class Checking { no, yes };

struct StoreOptions {
  std::string address;                      // "etcd:https://..."
  std::string authority, certificate, key;  // files of the agent's machine
  std::string prefix = "/volcrypt/";
};
struct InitOptions {
  std::string name = "volcrypt";
  std::string authority_file;  // empty: NAME-authority.json in the working directory
  std::string recovery_file;
  std::optional<std::vector<std::uint32_t>> pcrs;  // empty: PCR 7 where there is a TPM
  Reuse reuse_keys = Reuse::no;
  control::TpmUse tpm = control::TpmUse::required;
  StoreOptions store;  // without an address: the store that the agent has
};
struct EnableOptions {
  std::string protection = "tpm";
  Checking only_check = Checking::no;
};
struct CreateOptions {
  std::string name, device;
  bool erase_existing_data = false;
  bool allow_discards = false;
};
struct AttachOptions {
  std::string name, device;  // one of them may be empty
  bool take_over = false;
};
enum class Rotating { begin, abort };
struct RotateOptions {
  Rotating what = Rotating::begin;
  Waiting wait = Waiting::no;
  unsigned timeout = 0;  // seconds, 0: none
};
struct ApproveOptions {
  std::string authority_file;
  std::optional<std::string> pcr_digest;  // hexadecimal; empty: the present one
};
struct TokenOptions {
  std::string output;
  unsigned hours = 24;
};
struct JoinOptions {
  std::string address, token_file;
  std::string name;  // empty: the host's
  control::TpmUse tpm = control::TpmUse::required;
  StoreOptions store;  // without an address: the store that the agent has
  Waiting wait = Waiting::no;
};
struct MemberOptions {  // admit and remove
  std::string name;     // or id
  std::string authority_file;
  std::optional<std::vector<std::uint32_t>> pcrs;  // empty: those of this node
  bool leave_volumes = false;                      // remove: although it owns some
};
struct RecoveryOpenOptions {
  std::string device, bundle, recovery_file;
  std::optional<std::string> name;
};

// "7", "7,14", "none". Throws Failure(usage).
std::vector<std::uint32_t> parse_pcrs(const std::string& text);

}  // namespace volcrypt::cli
