// The TPM commands that this node sends, or will have to: their names, and which of them every TPM must have. Pure. Any
// thread. Source: TPM 2.0 part 3; PC Client Platform TPM Profile for what is optional.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include <string_view>

namespace volcrypt::keys::tpm {

// One that is not needed has a substitute, or is answered by every TPM.
enum class Need { always, no };

struct Command {
  TPM2_CC code;
  std::string_view name;  // "TPM2_Load"
  Need need;
};

inline constexpr Command known_commands[] = {
    {TPM2_CC_ActivateCredential, "TPM2_ActivateCredential", Need::always},
    {TPM2_CC_Certify, "TPM2_Certify", Need::always},
    {TPM2_CC_CertifyCreation, "TPM2_CertifyCreation", Need::always},
    {TPM2_CC_Create, "TPM2_Create", Need::always},
    {TPM2_CC_CreatePrimary, "TPM2_CreatePrimary", Need::always},
    {TPM2_CC_Duplicate, "TPM2_Duplicate", Need::always},
    {TPM2_CC_EvictControl, "TPM2_EvictControl", Need::always},
    {TPM2_CC_FlushContext, "TPM2_FlushContext", Need::always},
    {TPM2_CC_GetCapability, "TPM2_GetCapability", Need::no},
    {TPM2_CC_HMAC, "TPM2_HMAC", Need::no},
    {TPM2_CC_HMAC_Start, "TPM2_HMAC_Start", Need::no},
    {TPM2_CC_Import, "TPM2_Import", Need::always},
    {TPM2_CC_Load, "TPM2_Load", Need::always},
    {TPM2_CC_LoadExternal, "TPM2_LoadExternal", Need::always},
    {TPM2_CC_PCR_Read, "TPM2_PCR_Read", Need::always},
    {TPM2_CC_PolicyAuthorize, "TPM2_PolicyAuthorize", Need::always},
    {TPM2_CC_PolicyCommandCode, "TPM2_PolicyCommandCode", Need::always},
    {TPM2_CC_PolicyDuplicationSelect, "TPM2_PolicyDuplicationSelect", Need::always},
    {TPM2_CC_PolicyPCR, "TPM2_PolicyPCR", Need::always},
    {TPM2_CC_ReadPublic, "TPM2_ReadPublic", Need::always},
    {TPM2_CC_SequenceComplete, "TPM2_SequenceComplete", Need::no},
    {TPM2_CC_StartAuthSession, "TPM2_StartAuthSession", Need::always},
    {TPM2_CC_TestParms, "TPM2_TestParms", Need::no},
    {TPM2_CC_VerifySignature, "TPM2_VerifySignature", Need::always},
};

// "other" for a command that is not among them.
constexpr std::string_view command_name(TPM2_CC code) noexcept {
  for (const Command& command : known_commands)
    if (command.code == code) return command.name;
  return "other";
}

}  // namespace volcrypt::keys::tpm
