// See capabilities.hpp and tpm_facts.hpp.
#include "agent/keys/tpm/capabilities.hpp"

#include <algorithm>
#include <map>

#include "agent/keys/tpm/tpm_commands.hpp"
#include "agent/keys/tpm/tpm_object.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

Returned<TPMS_CAPABILITY_DATA> capability(ESYS_CONTEXT* esys, TPM2_CAP kind, UINT32 from, UINT32 count,
                                          TPMI_YES_NO& more) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  check(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, kind, from, count, &more, &raw),
        "TPM2_GetCapability", "the TPM");
  return Returned<TPMS_CAPABILITY_DATA>(raw);
}

std::map<TPM2_PT, UINT32> properties(ESYS_CONTEXT* esys, TPM2_PT group) {
  std::map<TPM2_PT, UINT32> found;
  TPM2_PT from = group;
  for (TPMI_YES_NO more = TPM2_YES; more == TPM2_YES;) {
    const auto data = capability(esys, TPM2_CAP_TPM_PROPERTIES, from, TPM2_MAX_TPM_PROPERTIES, more);
    const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
    if (list.count == 0) break;
    for (UINT32 i = 0; i < std::min<UINT32>(list.count, TPM2_MAX_TPM_PROPERTIES); ++i) {
      if (list.tpmProperty[i].property >= group + 0x100) return found;  // the next group has begun
      found[list.tpmProperty[i].property] = list.tpmProperty[i].value;
      from = list.tpmProperty[i].property + 1;
    }
  }
  return found;
}

std::set<TPM2_CC> commands_of(ESYS_CONTEXT* esys) {
  std::set<TPM2_CC> found;
  UINT32 from = TPM2_CC_FIRST;
  for (TPMI_YES_NO more = TPM2_YES; more == TPM2_YES;) {
    const auto data = capability(esys, TPM2_CAP_COMMANDS, from, TPM2_MAX_CAP_CC, more);
    const TPML_CCA& list = data->data.command;
    if (list.count == 0) break;
    for (UINT32 i = 0; i < std::min<UINT32>(list.count, TPM2_MAX_CAP_CC); ++i) {
      const TPM2_CC command = list.commandAttributes[i] & TPMA_CC_COMMANDINDEX_MASK;
      if ((list.commandAttributes[i] & TPMA_CC_V) == 0) found.insert(command);
      from = std::max(from, command + 1);
    }
  }
  return found;
}

// Four characters in one big-endian number; anything unprintable ends the text.
std::string letters(UINT32 value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const char letter = static_cast<char>((value >> shift) & 0xFF);
    if (letter < 0x20 || letter > 0x7E) break;
    text += letter;
  }
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string dotted(UINT32 high, UINT32 low) {
  return std::to_string(high >> 16) + "." + std::to_string(high & 0xFFFF) + "." + std::to_string(low >> 16) + "." +
         std::to_string(low & 0xFFFF);
}

bool accepts(ESYS_CONTEXT* esys, const TPMT_PUBLIC_PARMS& parameters) {
  const TSS2_RC code = Esys_TestParms(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);
  if (is_transport(code)) check(code, "TPM2_TestParms", "the TPM");
  return code == TSS2_RC_SUCCESS;
}

TPMT_PUBLIC_PARMS aes_cfb(UINT16 bits) {
  TPMT_PUBLIC_PARMS parameters{};
  parameters.type = TPM2_ALG_SYMCIPHER;
  parameters.parameters.symDetail.sym.algorithm = TPM2_ALG_AES;
  parameters.parameters.symDetail.sym.keyBits.aes = bits;
  parameters.parameters.symDetail.sym.mode.aes = TPM2_ALG_CFB;
  return parameters;
}

TPMT_PUBLIC_PARMS hmac_sha256() {
  TPMT_PUBLIC_PARMS parameters{};
  parameters.type = TPM2_ALG_KEYEDHASH;
  parameters.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
  parameters.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
  return parameters;
}

}  // namespace

std::string TpmFacts::printed() const {
  std::string text = maker;
  if (!model.empty()) text += " " + model;
  return text + ", firmware " + firmware;
}

HmacRoute TpmFacts::hmac_route() const {
  if (commands.contains(TPM2_CC_HMAC)) return HmacRoute::direct;
  if (commands.contains(TPM2_CC_HMAC_Start) && commands.contains(TPM2_CC_SequenceComplete)) return HmacRoute::sequence;
  throw Error(errc::tpm_unsuitable,
              {"make an HMAC in", "the TPM (" + printed() + ")",
               "It has neither TPM2_HMAC nor TPM2_HMAC_Start: use another TPM, or software protection."});
}

std::vector<std::string> missing_commands(const std::set<TPM2_CC>& commands) {
  std::vector<std::string> missing;
  for (const Command& command : known_commands) {
    if (command.need == Need::always && !commands.contains(command.code)) missing.emplace_back(command.name);
  }
  const bool sequence = commands.contains(TPM2_CC_HMAC_Start) && commands.contains(TPM2_CC_SequenceComplete);
  if (!commands.contains(TPM2_CC_HMAC) && !sequence)
    missing.emplace_back("TPM2_HMAC or TPM2_HMAC_Start with TPM2_SequenceComplete");
  return missing;
}

TpmAuthorisations read_authorisations(ESYS_CONTEXT* esys) {
  TpmAuthorisations found;
  const auto variable = properties(esys, TPM2_PT_VAR);
  if (const auto permanent = variable.find(TPM2_PT_PERMANENT); permanent != variable.end()) {
    found.owner_set = (permanent->second & TPMA_PERMANENT_OWNERAUTHSET) != 0;
    found.lockout_set = (permanent->second & TPMA_PERMANENT_LOCKOUTAUTHSET) != 0;
    found.in_lockout = (permanent->second & TPMA_PERMANENT_INLOCKOUT) != 0;
  }
  return found;
}

std::vector<std::string> warnings_of(const TpmAuthorisations& authorisations) {
  if (authorisations.lockout_set) return {};
  return {
      "The TPM's lockout authorisation is empty: whoever may use the TPM can clear it, and this node's keys with it. "
      "Set a password and keep it: `tpm2_changeauth -c lockout file:-`."};
}

TpmFacts read_facts(ESYS_CONTEXT* esys) {
  TpmFacts facts;
  const auto fixed = properties(esys, TPM2_PT_FIXED);
  const auto at = [&fixed](TPM2_PT property) {
    const auto found = fixed.find(property);
    return found == fixed.end() ? 0U : found->second;
  };
  facts.maker = trimmed(letters(at(TPM2_PT_MANUFACTURER)));
  facts.model = trimmed(letters(at(TPM2_PT_VENDOR_STRING_1)) + letters(at(TPM2_PT_VENDOR_STRING_2)) +
                        letters(at(TPM2_PT_VENDOR_STRING_3)) + letters(at(TPM2_PT_VENDOR_STRING_4)));
  facts.firmware = dotted(at(TPM2_PT_FIRMWARE_VERSION_1), at(TPM2_PT_FIRMWARE_VERSION_2));

  facts.authorisations = read_authorisations(esys);
  facts.commands = commands_of(esys);
  facts.missing = missing_commands(facts.commands);
  if (!accepts(esys, aes_cfb(128))) facts.missing.emplace_back("AES-128 in CFB mode");
  if (!accepts(esys, hmac_sha256())) facts.missing.emplace_back("HMAC keys with SHA-256");
  return facts;
}

void require_suitable(const TpmFacts& facts) {
  if (facts.authorisations.owner_set) {
    throw Error(errc::tpm_unsuitable,
                {"make keys in", "the TPM (" + facts.printed() + ")",
                 "Its owner hierarchy has a password: remove it (tpm2_changeauth -c owner) or clear the TPM."});
  }
  if (facts.missing.empty()) return;
  std::string list;
  for (const std::string& name : facts.missing) list += (list.empty() ? "" : ", ") + name;
  throw Error(errc::tpm_unsuitable, {"use", "the TPM (" + facts.printed() + ")",
                                     "It lacks " + list + ": use another TPM, or software protection."});
}

bool has_aes256(ESYS_CONTEXT* esys) { return accepts(esys, aes_cfb(256)); }

}  // namespace volcrypt::keys::tpm
