// Daemon: a real volcryptd process with state, socket and configuration in a scratch directory, and real volcryptctl
// calls against it; no root. On request its drives are plain files (volcryptd_over_files). Ends with the object
// (SIGTERM, then SIGKILL), or with the test program (PR_SET_PDEATHSIG).
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

enum class Drives { kernel, files };

class Daemon {
 public:
  static constexpr const char* short_wait = "tpm-wait = 5\n";
  // Started, and answering. "none": no TPM. `configuration`: more lines of its file.
  explicit Daemon(std::string tcti, std::string configuration = short_wait, Drives drives = Drives::kernel);
  Daemon(std::string tcti, Drives drives) : Daemon(std::move(tcti), short_wait, drives) {}
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void start();                // returns when it answers; throws with the daemon's log when it does not within 60 s
  void start_without_store();  // the same where the store does not answer, and clusterinfo is an error
  void configure(std::string configuration) { configuration_ = std::move(configuration); }  // from its next start
  int stop();                                                                               // SIGTERM; its exit status
  void kill();                                                                              // SIGKILL
  pid_t pid() const noexcept { return pid_; }
  std::string log() const;  // what it wrote to standard error
  std::string state_directory() const { return directory_.path("state"); }
  // With Drives::files: plugs a blank drive, returns its device; unplug takes the file away, and plug_again returns it.
  std::string plug(const std::string& name) const;
  void unplug(const std::string& name) const;
  void plug_again(const std::string& name) const;
  void hold(const std::string& call) const;  // that call of Devices waits until let_go: "rewrap"
  void let_go(const std::string& call) const;
  void set_secure_boot(char value) const;  // the firmware's variable, with Drives::files: 0 or 1
  std::string metrics() const;             // GET /metrics on the socket
  std::string path(const std::string& name) const { return directory_.path(name); }

  // volcryptctl --socket ... WORDS; each passphrase goes through a pipe of its own.
  CommandResult control(std::vector<std::string> words, const std::vector<std::string>& passphrases = {}) const;
  // The same with -o json; throws unless it ends with 0.
  boost::json::value ask(std::vector<std::string> words) const;
  CommandResult init(const std::vector<std::string>& more = {}) const;  // cluster init with both passphrases
  std::vector<std::string> init_words() const;

 private:
  void start_until(const std::vector<std::string>& answered);

  ScratchDirectory directory_;
  std::string tcti_, configuration_;
  Drives drives_;
  pid_t pid_ = -1;
};

CommandResult run_command(std::vector<std::string> words, const std::vector<std::string>& passphrases);

inline const std::string authority_passphrase = "authority words", recovery_passphrase = "recovery words";

}  // namespace volcrypt::test
