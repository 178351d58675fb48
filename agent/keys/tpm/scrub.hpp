// Overwrites what the TPM library leaves behind of secrets that passed through it: tpm2-tss decrypts answers in the
// ESYS_CONTEXT's own buffer and in heap blocks and stack frames that it does not wipe. Call it on the thread that made
// the calls, right after them. A test looks through the process's memory for what may be left. The TPM's worker thread.
#pragma once

#include <tss2/tss2_esys.h>

namespace volcrypt::keys::tpm {

// Replaces the context's command and answer buffer by a long, harmless answer (TPM2_GetCapability), then overwrites
// freed small heap blocks and the stack below the caller. Throws like check().
void scrub(ESYS_CONTEXT* esys);

// The heap and stack part alone; for when the context is dead and about to be closed.
void scrub_process_memory() noexcept;

}  // namespace volcrypt::keys::tpm
