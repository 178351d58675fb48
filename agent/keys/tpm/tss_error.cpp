// See tss_error.hpp.
#include "agent/keys/tpm/tss_error.hpp"

#include <tss2/tss2_rc.h>

#include <cstdio>
#include <string>

#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

constexpr TSS2_RC layer_mask = 0x00FF0000;
constexpr TSS2_RC tcti_layer = 0x000A0000;
constexpr TSS2_RC resource_manager_tpm_layer = 0x000B0000;  // the kernel's resource manager speaking with a TPM's codes
constexpr TSS2_RC resource_manager_layer = 0x000C0000;

std::string hex(TSS2_RC code) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", code);
  return text;
}

// Boost's base class has a protected, non-virtual destructor by design: categories are static and never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class TssCategory final : public boost::system::error_category {
 public:
  using boost::system::error_category::message;
  const char* name() const noexcept override { return "tpm"; }
  std::string message(int value) const override {
    const auto code = static_cast<TSS2_RC>(value);
    return std::string(Tss2_RC_Decode(code)) + " (" + hex(code) + ")";
  }
};
#pragma GCC diagnostic pop

bool is_authorised_by_owner(std::string_view command) {
  return command == "TPM2_CreatePrimary" || command == "TPM2_EvictControl";
}

std::string_view way_out(TSS2_RC code, std::string_view command) {
  switch (bare(code)) {
    case rc::failure_mode:
      return "The TPM is in failure mode until its next hardware reset: power the machine off and on.";
    case rc::object_memory:
    case rc::session_memory:
      return "Other programs fill the TPM's slots: let them all use /dev/tpmrm0, which gives every program its own.";
    case rc::context_gap:
      return "Another program keeps an idle TPM session open for too long: restart it.";
    case rc::pcr_changed:
      return "Another program extends PCRs all the time: try again.";
    case rc::bad_auth:
    case rc::auth_fail:
      return is_authorised_by_owner(command)
                 ? "The TPM's owner hierarchy has a password: clear the TPM or remove the password."
                 : "A command or its answer was altered on the way: try again; if it stays, look at the TPM's "
                   "connection.";
    case rc::command_code:
      return "This TPM lacks the command: use another TPM, or software protection.";
    default:
      return {};
  }
}

}  // namespace

const boost::system::error_category& tss_category() noexcept {
  static const TssCategory category;
  return category;
}

boost::system::error_code tss_code(TSS2_RC code) noexcept { return {static_cast<int>(code), tss_category()}; }

TSS2_RC bare(TSS2_RC code) noexcept {
  const TSS2_RC layer = code & layer_mask;
  if (layer != 0 && layer != resource_manager_tpm_layer) return 0;
  constexpr TSS2_RC format_one = 0x080;
  return (code & format_one) != 0 ? (code & 0x0BF) : (code & 0xFFF);
}

bool is_warning(TSS2_RC code) noexcept { return (code & 0xF80) == 0x900; }

bool is_refused_parameter(TSS2_RC code) noexcept {
  return (code >> 12) == 0 && (code & (TPM2_RC_FMT1 | TPM2_RC_P)) == (TPM2_RC_FMT1 | TPM2_RC_P);
}

bool is_transport(TSS2_RC code) noexcept { return code != 0 && bare(code) == 0; }

void check(TSS2_RC code, std::string_view command, std::string_view object) {
  if (code == TSS2_RC_SUCCESS) return;
  const std::string operation = "run " + std::string(command) + " on";
  const TSS2_RC layer = code & layer_mask;
  if (layer == tcti_layer || layer == resource_manager_layer) {
    throw Error(errc::tpm_absent,
                {operation, std::string(object) + " [" + hex(code) + ": " + Tss2_RC_Decode(code) + "]",
                 "Look whether the TPM's device is there and not in use by another program."});
  }
  throw Error(tss_code(code), {operation, std::string(object), std::string(way_out(code, command))});
}

}  // namespace volcrypt::keys::tpm
