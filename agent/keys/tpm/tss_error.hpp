// TSS2_RC as an error_code: one category ("tpm") whose text is libtss2-rc's and the hexadecimal code, and check(),
// which turns a failing call into an Error. Handle, parameter and session numbers are stripped before codes are
// compared, since the same fault carries another number with every session layout. Any thread. Source: TPM 2.0 Part 2
// section 6.6 (response codes); TCG TSS 2.0 Overview section 3 (layers).
#pragma once

#include <tss2/tss2_common.h>

#include <boost/system/error_code.hpp>
#include <string_view>

namespace volcrypt::keys::tpm {

// The causes that we act on, stripped.
namespace rc {
inline constexpr TSS2_RC policy_fail = 0x09D;
inline constexpr TSS2_RC value = 0x084;
inline constexpr TSS2_RC handle = 0x08B;
inline constexpr TSS2_RC integrity = 0x09F;
inline constexpr TSS2_RC bad_auth = 0x0A2;
inline constexpr TSS2_RC auth_fail = 0x08E;
inline constexpr TSS2_RC signature = 0x09B;
inline constexpr TSS2_RC attributes = 0x082;
inline constexpr TSS2_RC policy_cc = 0x0A4;
inline constexpr TSS2_RC pcr_changed = 0x128;
inline constexpr TSS2_RC nv_defined = 0x14C;
inline constexpr TSS2_RC command_code = 0x143;
inline constexpr TSS2_RC failure_mode = 0x101;
inline constexpr TSS2_RC object_memory = 0x902;
inline constexpr TSS2_RC session_memory = 0x903;
inline constexpr TSS2_RC context_gap = 0x901;
inline constexpr TSS2_RC lockout = 0x921;
inline constexpr TSS2_RC retry = 0x922;
}  // namespace rc

const boost::system::error_category& tss_category() noexcept;
boost::system::error_code tss_code(TSS2_RC code) noexcept;

// What the TPM answered, without the numbers of handle, parameter or session; 0 when another layer made the code.
TSS2_RC bare(TSS2_RC code) noexcept;
// True for a bare code that is one of the TPM's warnings: busy, testing, out of slots. The same may succeed later.
bool is_warning(TSS2_RC code) noexcept;
// True when the TPM refused one of the command's parameters: something in what it was given, no state of its own.
bool is_refused_parameter(TSS2_RC code) noexcept;
// True when the code was not made by the TPM: transport, unmarshalling, response authentication. The ESYS_CONTEXT that
// returned it answers every later call with BAD_SEQUENCE and must be opened again.
bool is_transport(TSS2_RC code) noexcept;

// Throws unless `code` is success: errc::tpm_absent when no answer came, else the code itself in tss_category.
// `command` is the TPM's name of it ("TPM2_Load"), `object` what it was done to.
void check(TSS2_RC code, std::string_view command, std::string_view object);

}  // namespace volcrypt::keys::tpm
