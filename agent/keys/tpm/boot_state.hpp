// What this machine booted, as its PCRs of bank SHA-256 say, and which approved state that is. Reading only; a value
// that an interposer forges opens nothing, since the TPM compares for itself in TPM2_PolicyPCR. The TPM's worker
// thread.
#pragma once

#include <tss2/tss2_esys.h>

#include <cstdint>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::keys::tpm {

// Values of the given PCRs (ascending), their digest as PolicyPCR takes it; approved_now is left false.
BootReport read_boot_state(ESYS_CONTEXT* esys, const std::vector<std::uint32_t>& pcrs);

// The newest approved state that fits the report, or null.
const Approvals::BootState* matching_state(const Approvals& approvals, const BootReport& report) noexcept;

// errc::sealed_out with each PCR's number and value now.
[[noreturn]] void throw_sealed_out(const BootReport& report);

}  // namespace volcrypt::keys::tpm
