// See tpm_context.hpp.
#include "agent/keys/tpm/tpm_context.hpp"

#include <fcntl.h>
#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "agent/keys/tpm/tpm_object.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

// tpm2-tss says "I/O error" for every errno; whether a device is missing or busy is what the operator must know.
std::string cause_of(const std::string& tcti, TSS2_RC code) {
  constexpr std::string_view device = "device:";
  if (tcti.starts_with(device)) {
    const Fd probe(::open(tcti.substr(device.size()).c_str(), O_RDWR | O_CLOEXEC));
    if (!probe) return std::generic_category().message(errno);
  }
  return tss_code(code).message();
}

Error absent(const std::string& tcti, TSS2_RC code) {
  return Error(errc::tpm_absent, {"open the TPM", tcti + " [" + cause_of(tcti, code) + "]",
                                  "Look whether the device is there, enabled in the firmware, and free."});
}

void flush_all(ESYS_CONTEXT* esys, TPM2_HANDLE first) {
  for (const TPM2_HANDLE handle : handles_of(esys, first)) {
    ESYS_TR object = ESYS_TR_NONE;
    check(Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object), "TPM2_ReadPublic",
          "a leftover object");
    check(Esys_FlushContext(esys, object), "TPM2_FlushContext", "a leftover object");
  }
}

}  // namespace

TpmContext::TpmContext(const std::string& tcti, CommandObserver observe) {
  TSS2_TCTI_CONTEXT* transport = nullptr;
  TSS2_RC code = Tss2_TctiLdr_Initialize(tcti.c_str(), &transport);
  if (code != TSS2_RC_SUCCESS) throw absent(tcti, code);
  tcti_.reset(transport);
  timed_ = std::make_unique<TimedTcti>(transport, std::move(observe));
  ESYS_CONTEXT* esys = nullptr;
  code = Esys_Initialize(&esys, timed_->context(), nullptr);
  if (code != TSS2_RC_SUCCESS) throw absent(tcti, code);
  esys_.reset(esys);
}

void TpmContext::finalize_tcti(TSS2_TCTI_CONTEXT* tcti) noexcept { Tss2_TctiLdr_Finalize(&tcti); }
void TpmContext::finalize_esys(ESYS_CONTEXT* esys) noexcept { Esys_Finalize(&esys); }

void TpmContext::sweep() {
  flush_all(esys(), TPM2_TRANSIENT_FIRST);
  flush_all(esys(), TPM2_LOADED_SESSION_FIRST);
}

std::vector<TPM2_HANDLE> handles_of(ESYS_CONTEXT* esys, TPM2_HANDLE first) {
  std::vector<TPM2_HANDLE> handles;
  TPMI_YES_NO more = TPM2_YES;
  while (more == TPM2_YES) {
    TPMS_CAPABILITY_DATA* raw = nullptr;
    const TPM2_HANDLE from = handles.empty() ? first : handles.back() + 1;
    check(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, from,
                             TPM2_MAX_CAP_HANDLES, &more, &raw),
          "TPM2_GetCapability", "the list of handles");
    const Returned<TPMS_CAPABILITY_DATA> data(raw);
    const TPML_HANDLE& list = data->data.handles;
    if (list.count == 0) break;
    handles.insert(handles.end(), list.handle, list.handle + std::min<UINT32>(list.count, TPM2_MAX_CAP_HANDLES));
  }
  return handles;
}

void wait_for_tpm(const std::string& tcti, std::chrono::milliseconds patience) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + patience;
  for (;;) {
    try {
      const TpmContext context(tcti);
      handles_of(context.esys(), TPM2_PERSISTENT_FIRST);
      return;
    } catch (const Error& error) {
      if (error.code() != errc::tpm_absent || steady_clock::now() >= end) throw;
    }
    std::this_thread::sleep_for(
        std::min<steady_clock::duration>(std::chrono::milliseconds(200), end - steady_clock::now()));
  }
}

}  // namespace volcrypt::keys::tpm
