// Daemon: a real volcryptd process with state, socket and configuration in a scratch directory, and real volcryptctl
// calls against it; no root. Ends with the object (SIGTERM, then SIGKILL), or with the test program (PR_SET_PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "tests/support/volume_image.hpp"

namespace volcrypt::test {

struct CommandResult {
  int status = -1;  // exit status; 128 and the signal's number when a signal ended it
  std::string out, err;
};

class Daemon {
 public:
  // Started, and answering. "none": no TPM. `configuration`: more lines of its file.
  explicit Daemon(std::string tcti, std::string configuration = "tpm-wait = 5\n");
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void start();  // returns when it answers; throws with the daemon's log when it does not within 60 s
  int stop();    // SIGTERM; its exit status
  void kill();   // SIGKILL
  pid_t pid() const noexcept { return pid_; }
  std::string log() const;  // what it wrote to standard error
  std::string state_directory() const { return directory_.path("state"); }
  std::string path(const std::string& name) const { return directory_.path(name); }

  // volcryptctl --socket ... WORDS; each passphrase goes through a pipe of its own.
  CommandResult control(std::vector<std::string> words, const std::vector<std::string>& passphrases = {}) const;
  // The same with -o json; throws unless it ends with 0.
  boost::json::value ask(std::vector<std::string> words) const;
  CommandResult init(const std::vector<std::string>& more = {}) const;  // cluster init with both passphrases
  std::vector<std::string> init_words() const;

 private:
  ScratchDirectory directory_;
  std::string tcti_, configuration_;
  pid_t pid_ = -1;
};

CommandResult run_command(std::vector<std::string> words, const std::vector<std::string>& passphrases);

inline const std::string authority_passphrase = "authority words", recovery_passphrase = "recovery words";

}  // namespace volcrypt::test
