// See policies.hpp.
#include "agent/keys/tpm/policies.hpp"

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

struct Approval {
  Digest policy;
  Digest reference;
  ByteView signature;
};

// Replaces the session's digest by authorize(authority, reference). The authority is loaded in the owner hierarchy: in
// the NULL hierarchy the signature verifies as well, but the ticket is empty and PolicyAuthorize refuses it.
void authorize(ESYS_CONTEXT* esys, ESYS_TR session, ByteView authority_der, const Approval& approval) {
  const Bytes area = authority_public_area(p256_point_from_der(authority_der));
  const TPM2B_PUBLIC authority = public_from(area);
  ESYS_TR handle = ESYS_TR_NONE;
  check(
      Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &authority, ESYS_TR_RH_OWNER, &handle),
      "TPM2_LoadExternal", "the authority's public key");
  Transient loaded(esys, handle);

  const auto digest = sized<TPM2B_DIGEST>(sha256(approval_message(approval.policy, approval.reference)));
  const TPMT_SIGNATURE signature = signature_from_der(approval.signature);
  TPMT_TK_VERIFIED* raw_ticket = nullptr;
  const TSS2_RC verified = Esys_VerifySignature(esys, loaded.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                                                &signature, &raw_ticket);
  const Returned<TPMT_TK_VERIFIED> ticket(raw_ticket);
  if (bare(verified) == rc::signature) {
    throw Error(errc::bad_signature, {"use", "an approval of this node",
                                      "The TPM refuses the authority's signature: admit or approve this node again."});
  }
  check(verified, "TPM2_VerifySignature", "an approval of this node");
  loaded.end();

  const auto policy = sized<TPM2B_DIGEST>(approval.policy);
  const auto reference = sized<TPM2B_NONCE>(approval.reference);
  const TPM2B_NAME name = name_from(tpm_name(area));
  check(Esys_PolicyAuthorize(esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &policy, &reference, &name,
                             ticket.get()),
        "TPM2_PolicyAuthorize", "an approval of this node");
}

ByteView signature_for(const Approvals::BootState& state, TpmCommand command) {
  switch (command) {
    case TpmCommand::create:
      return state.create;
    case TpmCommand::load:
      return state.load;
    case TpmCommand::import:
      return state.import;
    default:
      throw Error(errc::invalid_argument, {"authorise", "a command that the storage key's policy does not name", ""});
  }
}

}  // namespace

PolicySession storage_key_session(ESYS_CONTEXT* esys, const Approvals& approvals, TpmCommand command) {
  const BootReport report = read_boot_state(esys, approvals.pcrs);
  const Approvals::BootState* state = matching_state(approvals, report);
  if (state == nullptr) throw_sealed_out(report);

  PolicySession session(esys);
  if (!approvals.pcrs.empty()) {
    const auto digest = sized<TPM2B_DIGEST>(state->pcr_digest);
    const TPML_PCR_SELECTION selection = select_pcrs(approvals.pcrs);
    const TSS2_RC code =
        Esys_PolicyPCR(esys, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &selection);
    if (bare(code) == rc::value) throw_sealed_out(read_boot_state(esys, approvals.pcrs));  // extended a moment ago
    check(code, "TPM2_PolicyPCR", "the boot state");
  }
  check(Esys_PolicyCommandCode(esys, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                               static_cast<TPM2_CC>(command)),
        "TPM2_PolicyCommandCode", "the storage key");
  authorize(esys, session.get(), approvals.authority_public,
            {boot_state_policy(approvals.pcrs, state->pcr_digest, command),
             node_reference(approvals.cluster, approvals.node), signature_for(*state, command)});
  return session;
}

PolicySession duplication_session(ESYS_CONTEXT* esys, const Approvals& approvals, const DuplicationTarget& target) {
  PolicySession session(esys);
  const TPM2B_NAME object =
      name_from(target.kek_name);  // needed although it is not part of the policy: nameHash covers both
  const TPM2B_NAME parent = name_from(target.parent_name);
  check(Esys_PolicyDuplicationSelect(esys, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object, &parent,
                                     TPM2_NO),
        "TPM2_PolicyDuplicationSelect", "the new parent");
  authorize(esys, session.get(), approvals.authority_public,
            {policy_duplication_select(target.parent_name), kek_reference(approvals.cluster, target.trust_epoch),
             target.approval});
  return session;
}

Bytes authority_name(ByteView authority_public_der) {
  return tpm_name(authority_public_area(p256_point_from_der(authority_public_der)));
}

}  // namespace volcrypt::keys::tpm
