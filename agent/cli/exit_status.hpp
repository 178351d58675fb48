// Exit codes of volcryptctl, a stable interface (volcryptctl(1), EXIT STATUS), and the exception that carries one to
// main.
#pragma once

#include <stdexcept>
#include <string>

#include "dmtarget/error.hpp"

namespace volcrypt::cli {

enum class ExitStatus {
  done = 0,
  failed = 1,
  usage = 2,
  unreachable = 3,  // no agent answers on the socket
  refused = 4,      // the present state does not allow it
  not_found = 5,
  forbidden = 6,  // not root, not in group volcrypt
  wrong_key = 7,  // wrong passphrase, or a key of another cluster
  timed_out = 8,  // the outcome is unknown, or `settle` waited in vain
  not_ours = 9,   // the device is not of this cluster; it was left alone
  tpm = 10,       // sealed out, cleared, absent or unsuitable TPM
};

// Text: "cannot ...: cause. Way out." without the program's name.
class Failure : public std::runtime_error {
 public:
  Failure(ExitStatus status, const std::string& text) : std::runtime_error(text), status_(status) {}
  ExitStatus status() const noexcept { return status_; }

 private:
  ExitStatus status_;
};

// From the cause's stable name ("sealed_out") and, where it has none of ours, the HTTP status (0: not from the agent).
ExitStatus exit_status_of(const std::string& kind, unsigned http_status) noexcept;

}  // namespace volcrypt::cli
