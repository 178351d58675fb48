// See scrub.hpp.
#include "agent/keys/tpm/scrub.hpp"

#include <array>
#include <cstdlib>

#include "agent/keys/tpm/tpm_object.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys::tpm {
namespace {

// Freed blocks of one size lie in the thread's cache (7 per size in glibc) and then in the arena's lists, last freed
// first out: taking a few more than the cache holds and wiping them covers those that were freed a moment ago.
void scrub_heap() noexcept {
  constexpr std::size_t blocks = 12;
  for (std::size_t size = 24; size <= 4096 + 24; size += 16) {
    std::array<void*, blocks> taken{};
    for (void*& block : taken) {
      block = std::malloc(size);
      if (block != nullptr) wipe({static_cast<std::uint8_t*>(block), size});
    }
    for (void* block : taken) std::free(block);
  }
}

}  // namespace

void scrub_process_memory() noexcept {
  scrub_heap();
  wipe_dead_stack();
}

void scrub(ESYS_CONTEXT* esys) {
  TPMI_YES_NO more = TPM2_NO;
  TPMS_CAPABILITY_DATA* raw = nullptr;
  const TSS2_RC code = Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                                          TPM2_PT_FIXED, 48, &more, &raw);
  const Returned<TPMS_CAPABILITY_DATA> data(raw);
  scrub_process_memory();
  check(code, "TPM2_GetCapability", "the TPM");
}

}  // namespace volcrypt::keys::tpm
