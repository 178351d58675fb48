// A software TPM 2.0 (swtpm) of a test's own: one process with its state in a temporary directory, reached over unix
// sockets there. Ends with the object, and with the test program however that ends (PR_SET_PDEATHSIG). Any thread, but
// the one that made it must outlive it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace volcrypt::test {

class Swtpm {
 public:
  Swtpm();  // fresh: a TPM nobody used before
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  std::string tcti() const;  // "swtpm:path=..."
  std::filesystem::path socket() const { return directory_ / "tpm"; }

  // Power cycle without TPM2_Shutdown: what is volatile is gone, NV stays. Clients' next command reaches the new run.
  void power_cycle();
  // Another chip: state directory emptied.
  void replace();
  // TPM2_Clear with platform authorisation, as from the firmware's menu.
  void clear();
  // Extends a PCR of bank SHA-256 by SHA256(event).
  void extend_pcr(unsigned pcr, const std::string& event);
  void stop();  // no TPM answers any more
  void start();

 private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

}  // namespace volcrypt::test
