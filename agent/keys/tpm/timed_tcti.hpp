// TimedTcti: a TCTI that passes everything on to another one and tells how long each TPM command took: from its first
// byte sent to its answer, the resource manager's work included, a failed one too. The TPM's worker thread.
// Source: TCG TSS 2.0 TPM Command Transmission Interface (TCTI) API, version 1.0.
#pragma once

#include <tss2/tss2_tcti.h>

#include <chrono>
#include <cstdint>

#include "agent/keys/tpm/tpm_facts.hpp"

namespace volcrypt::keys::tpm {

class TimedTcti {
 public:
  // `inner` outlives this. An `observe` that is empty is not called.
  TimedTcti(TSS2_TCTI_CONTEXT* inner, CommandObserver observe);
  TimedTcti(const TimedTcti&) = delete;
  TimedTcti& operator=(const TimedTcti&) = delete;

  TSS2_TCTI_CONTEXT* context() noexcept;

 private:
  struct Wire {  // what tpm2-tss sees; the common part is first
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    TimedTcti* owner;
  };

  static TimedTcti& of(TSS2_TCTI_CONTEXT* context) noexcept;
  static TSS2_RC transmit(TSS2_TCTI_CONTEXT* context, std::size_t size, const std::uint8_t* command) noexcept;
  static TSS2_RC receive(TSS2_TCTI_CONTEXT* context, std::size_t* size, std::uint8_t* response,
                         std::int32_t timeout) noexcept;
  static TSS2_RC cancel(TSS2_TCTI_CONTEXT* context) noexcept;
  static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT* context, TSS2_TCTI_POLL_HANDLE* handles, std::size_t* count) noexcept;
  static TSS2_RC set_locality(TSS2_TCTI_CONTEXT* context, std::uint8_t locality) noexcept;
  static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT* context, TPM2_HANDLE* handle, std::uint8_t sticky) noexcept;

  Wire wire_{};
  TSS2_TCTI_CONTEXT* inner_;
  CommandObserver observe_;
  std::uint32_t command_ = 0;
  std::chrono::steady_clock::time_point sent_;
};

}  // namespace volcrypt::keys::tpm
