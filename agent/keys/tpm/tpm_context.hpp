// TpmContext: one open connection to a TPM, over any TCTI ("device:/dev/tpmrm0", "swtpm:path=..."). It is opened when
// made and closed when it ends; after a transport error it is dead and its owner makes another. At most one is open in
// this process at a time: a software TPM and /dev/tpm0 serve one connection only. The TPM's worker thread.
#pragma once

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/keys/tpm/timed_tcti.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys::tpm {

class TpmContext {
 public:
  // Throws errc::tpm_absent naming the TCTI.
  explicit TpmContext(const std::string& tcti, CommandObserver observe = {});

  ESYS_CONTEXT* esys() const noexcept { return esys_.get(); }

  // Flushes every transient object and session that this connection sees. For the first use after a connection that
  // died: behind a resource manager a new connection sees none, without one these are what the dead one left.
  void sweep();

 private:
  static void finalize_tcti(TSS2_TCTI_CONTEXT* tcti) noexcept;
  static void finalize_esys(ESYS_CONTEXT* esys) noexcept;

  std::unique_ptr<TSS2_TCTI_CONTEXT, FreeWith<&finalize_tcti>> tcti_;
  std::unique_ptr<TimedTcti> timed_;  // ends after what speaks through it
  std::unique_ptr<ESYS_CONTEXT, FreeWith<&finalize_esys>> esys_;
};

// Handles of one range (TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST, TPM2_PERSISTENT_FIRST, ...) that exist now.
std::vector<TPM2_HANDLE> handles_of(ESYS_CONTEXT* esys, TPM2_HANDLE first);

// Returns once a TPM answers. Throws errc::tpm_absent when none did within `patience` (a TPM can appear late at boot).
void wait_for_tpm(const std::string& tcti, std::chrono::milliseconds patience);

}  // namespace volcrypt::keys::tpm
