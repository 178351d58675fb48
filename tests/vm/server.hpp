// A machine with the volcrypt package installed and a cluster of one node on it: what the vm tests and the demo start
// from. Every command goes through a Transcript, so that a demo shows what a test asserts. Used by the main thread.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "tests/support/vm_machine.hpp"

namespace volcrypt::test {

enum class Protection { tpm, software };

// What the reader sees: chapters, sentences, commands with their output.
class Transcript {
 public:
  explicit Transcript(std::ostream& out) : out_(out) {}
  void chapter(const std::string& title);
  void say(const std::string& sentence);
  void command(const std::string& line, const std::string& output);

 private:
  std::ostream& out_;
  unsigned chapters_ = 0;
};

class Server {
 public:
  Server(MachineSpec spec, Transcript& transcript) : machine(std::move(spec)), transcript_(transcript) {}

  // Runs a command in the machine, shows it with its output, and throws when it fails.
  std::string show(const std::string& line, std::chrono::seconds deadline = std::chrono::seconds{120});
  // The same for a command that must fail; gives both outputs. Throws when it succeeds.
  std::string show_refusal(const std::string& line);

  void install_package();
  // `cluster init`, feature flag, enable. The passphrases come through file descriptors, the key files lie in /root.
  void make_cluster(Protection protection);

  // volcryptctl with JSON output, not shown.
  boost::json::value ask(const std::string& arguments);
  // The condition of a volume as `get volume` has it: "attached", "absent", "failed", ...
  std::string condition(const std::string& volume);
  std::string failed_units();  // empty, or what systemd says of each failed unit, its last journal lines included
  long resident_kibibytes();   // volcryptd's VmRSS, now; shown in the transcript
  // Throws when a volume's key is in a keyring, or when one that another process holds would not be seen.
  void check_that_no_keyring_has_a_volume_key();
  void await_condition(const std::string& volume, const std::string& wanted,
                       std::chrono::seconds deadline = std::chrono::seconds{60});

  Machine machine;
  Transcript& transcript() { return transcript_; }

  static constexpr std::string_view authority_passphrase = "correct horse battery staple";
  static constexpr std::string_view recovery_passphrase = "nine lemons on a blue table";

 private:
  Transcript& transcript_;
};

// A bash redirection that gives a passphrase on a file descriptor, never in a command's arguments.
std::string passphrase_on(int descriptor, std::string_view passphrase);

// The Debian package of this build. Throws, naming `scripts/build`, when it was not made.
std::filesystem::path debian_package();

}  // namespace volcrypt::test
