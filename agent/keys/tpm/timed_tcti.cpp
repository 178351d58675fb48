// See timed_tcti.hpp.
#include "agent/keys/tpm/timed_tcti.hpp"

#include <utility>

#include "agent/keys/tpm/tpm_commands.hpp"

namespace volcrypt::keys::tpm {

namespace {

// Bytes 6 to 9 of a command are its code, big-endian (TPM 2.0 part 1, command header).
std::uint32_t code_of(const std::uint8_t* command, std::size_t size) noexcept {
  if (command == nullptr || size < 10) return 0;
  std::uint32_t code = 0;
  for (std::size_t at = 6; at < 10; ++at) code = code << 8 | command[at];
  return code;
}

}  // namespace

TimedTcti::TimedTcti(TSS2_TCTI_CONTEXT* inner, CommandObserver observe) : inner_(inner), observe_(std::move(observe)) {
  wire_.common.v1.magic = 0x766f6c6374696d65;  // "volctime"
  wire_.common.v1.version = 2;
  wire_.common.v1.transmit = &transmit;
  wire_.common.v1.receive = &receive;
  wire_.common.v1.finalize = nullptr;  // `inner` is its owner's
  wire_.common.v1.cancel = &cancel;
  wire_.common.v1.getPollHandles = &poll_handles;
  wire_.common.v1.setLocality = &set_locality;
  wire_.common.makeSticky = &make_sticky;
  wire_.owner = this;
}

TSS2_TCTI_CONTEXT* TimedTcti::context() noexcept { return reinterpret_cast<TSS2_TCTI_CONTEXT*>(&wire_); }

TimedTcti& TimedTcti::of(TSS2_TCTI_CONTEXT* context) noexcept { return *reinterpret_cast<Wire*>(context)->owner; }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in the macros of tss2_tcti.h

TSS2_RC TimedTcti::transmit(TSS2_TCTI_CONTEXT* context, std::size_t size, const std::uint8_t* command) noexcept {
  TimedTcti& self = of(context);
  self.command_ = code_of(command, size);
  self.sent_ = std::chrono::steady_clock::now();
  return Tss2_Tcti_Transmit(self.inner_, size, command);
}

TSS2_RC TimedTcti::receive(TSS2_TCTI_CONTEXT* context, std::size_t* size, std::uint8_t* response,
                           std::int32_t timeout) noexcept {
  TimedTcti& self = of(context);
  const TSS2_RC code = Tss2_Tcti_Receive(self.inner_, size, response, timeout);
  // Without a buffer it asks for the size; the answer is still to come.
  if (code == TSS2_TCTI_RC_TRY_AGAIN || response == nullptr || self.command_ == 0) return code;
  if (self.observe_)
    self.observe_(command_name(std::exchange(self.command_, 0)), std::chrono::steady_clock::now() - self.sent_);
  return code;
}

TSS2_RC TimedTcti::cancel(TSS2_TCTI_CONTEXT* context) noexcept { return Tss2_Tcti_Cancel(of(context).inner_); }

TSS2_RC TimedTcti::poll_handles(TSS2_TCTI_CONTEXT* context, TSS2_TCTI_POLL_HANDLE* handles,
                                std::size_t* count) noexcept {
  return Tss2_Tcti_GetPollHandles(of(context).inner_, handles, count);
}

TSS2_RC TimedTcti::set_locality(TSS2_TCTI_CONTEXT* context, std::uint8_t locality) noexcept {
  return Tss2_Tcti_SetLocality(of(context).inner_, locality);
}

TSS2_RC TimedTcti::make_sticky(TSS2_TCTI_CONTEXT* context, TPM2_HANDLE* handle, std::uint8_t sticky) noexcept {
  return Tss2_Tcti_MakeSticky(of(context).inner_, handle, sticky);
}

#pragma GCC diagnostic pop

}  // namespace volcrypt::keys::tpm
