// What a TPM refuses, by its own codes: duplication without or beside the authority's approval, the storage key in
// another boot state or for another command, blobs of another TPM. Raw commands, as an attacker who is root sends them.
#include <tss2/tss2_esys.h>

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_hmac.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using namespace volcrypt::keys::tpm;
using volcrypt::test::NodeFixture;

namespace {

// Codes as they come, parameter numbers included where the TPM facts name them so.
constexpr TSS2_RC hierarchy_of_parent = 0x285, symmetric_none = 0x2D6, signature_wrong = 0x2DB, policy_not_so = 0x1C4;

const Digest purpose = sha256(as_bytes("purpose"));
const Digest input = sha256(as_bytes("input"));
const Bytes name_of_null_hierarchy = {0x40, 0x00, 0x00, 0x07};

auto caused_by(const boost::system::error_code& cause, std::string word = {}) {
  return [cause, word = std::move(word)](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause && std::string(error.what()).find(word) != std::string::npos;
  };
}

// A loaded KEK, and an approved new parent: this node's own storage key.
struct Kek {
  explicit Kek(NodeFixture& n)
      : node(n),
        made(create_kek(node.esys(), node.parent(), purpose)),
        name(tpm_name(made.blob.public_area)),
        loaded(load_kek(node.esys(), node.parent(), made.blob, name)) {}

  Bytes approval_of(ByteView parent_name) const {
    return node.administrator.sign(policy_duplication_select(parent_name),
                                   kek_reference(node.administrator.cluster, 1));
  }
  Duplicate duplicate_to(const Bytes& parent) const {
    return duplicate_kek(node.esys(), node.parent(), loaded.get(), {parent, 1, approval_of(tpm_name(parent))});
  }
  PolicySession approved_session(ByteView parent_name) const {
    return duplication_session(node.esys(), node.approvals, {name, parent_name, 1, approval_of(parent_name)});
  }
  void select(ESYS_TR session, ByteView parent_name) const {
    const TPM2B_NAME object = name_from(name), parent = name_from(parent_name);
    check(Esys_PolicyDuplicationSelect(node.esys(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object, &parent,
                                       TPM2_NO),
          "TPM2_PolicyDuplicationSelect", "");
  }
  TSS2_RC duplicate(ESYS_TR session, ESYS_TR parent, TPM2_ALG_ID inner_algorithm = TPM2_ALG_AES) const {
    const auto inner = sized<TPM2B_DATA>(inner_algorithm == TPM2_ALG_NULL ? Bytes{} : Bytes(16, 1));
    TPMT_SYM_DEF_OBJECT wrap{};
    wrap.algorithm = inner_algorithm;
    wrap.keyBits.aes = 128;
    wrap.mode.aes = TPM2_ALG_CFB;
    return Esys_Duplicate(node.esys(), loaded.get(), parent, session, ESYS_TR_NONE, ESYS_TR_NONE, &inner, &wrap,
                          nullptr, nullptr, nullptr);
  }

  NodeFixture& node;
  NewKek made;
  Bytes name;
  Transient loaded;
};

Secret hmac_of(NodeFixture& node, ESYS_TR kek) {
  SaltedSession session(node.esys(), node.storage.get());
  return hmac(node.esys(), session, {HmacRoute::direct, kek, tpm::Use::last}, input);
}

TSS2_RC load(NodeFixture& node, ESYS_TR session, const KekBlob& blob) {
  const auto private_area = sized<TPM2B_PRIVATE>(blob.private_area);
  const TPM2B_PUBLIC public_area = public_from(blob.public_area);
  ESYS_TR handle = ESYS_TR_NONE;
  return Esys_Load(node.esys(), node.storage.get(), session, ESYS_TR_NONE, ESYS_TR_NONE, &private_area, &public_area,
                   &handle);
}

TSS2_RC import(NodeFixture& node, ESYS_TR session, ByteView area, const Duplicate& from) {
  const auto inner = sized<TPM2B_DATA>(from.inner_key.view());
  const TPM2B_PUBLIC public_area = public_from(area);
  const auto duplicate = sized<TPM2B_PRIVATE>(from.blob);
  const TPM2B_ENCRYPTED_SECRET seed = seed_from(from.seed);
  TPMT_SYM_DEF_OBJECT wrap{};
  wrap.algorithm = TPM2_ALG_AES;
  wrap.keyBits.aes = static_cast<UINT16>(from.inner_key.size() * 8);
  wrap.mode.aes = TPM2_ALG_CFB;
  TPM2B_PRIVATE* raw = nullptr;
  const TSS2_RC code = Esys_Import(node.esys(), node.storage.get(), session, ESYS_TR_NONE, ESYS_TR_NONE, &inner,
                                   &public_area, &duplicate, &seed, &wrap, &raw);
  const Returned<TPM2B_PRIVATE> private_area(raw);
  return code;
}

Transient load_authority(NodeFixture& node) {
  const Bytes area = authority_public_area(node.administrator.authority.point);
  const TPM2B_PUBLIC authority = public_from(area);
  ESYS_TR handle = ESYS_TR_NONE;
  check(Esys_LoadExternal(node.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &authority, ESYS_TR_RH_OWNER,
                          &handle),
        "TPM2_LoadExternal", "");
  return {node.esys(), handle};
}

// PolicyAuthorize with a ticket for `approved`, whatever the session's digest is.
TSS2_RC authorize(NodeFixture& node, ESYS_TR session, const Digest& approved, const Digest& reference) {
  const Bytes area = authority_public_area(node.administrator.authority.point);
  const Transient loaded = load_authority(node);
  const auto digest = sized<TPM2B_DIGEST>(sha256(approval_message(approved, reference)));
  const TPMT_SIGNATURE signature = signature_from_der(node.administrator.sign(approved, reference));
  TPMT_TK_VERIFIED* raw = nullptr;
  check(Esys_VerifySignature(node.esys(), loaded.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &signature,
                             &raw),
        "TPM2_VerifySignature", "");
  const Returned<TPMT_TK_VERIFIED> ticket(raw);
  const auto policy = sized<TPM2B_DIGEST>(approved);
  const auto nonce = sized<TPM2B_NONCE>(reference);
  const TPM2B_NAME name = name_from(tpm_name(area));
  return Esys_PolicyAuthorize(node.esys(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &policy, &nonce, &name,
                              ticket.get());
}

void command_code(NodeFixture& node, ESYS_TR session, TPM2_CC command) {
  check(Esys_PolicyCommandCode(node.esys(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, command),
        "TPM2_PolicyCommandCode", "");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_careless_approval_of_no_parent_prints_no_key) {
  NodeFixture node;
  const Kek kek(node);
  const PolicySession session = kek.approved_session(name_of_null_hierarchy);
  BOOST_TEST(kek.duplicate(session.get(), ESYS_TR_RH_NULL) == hierarchy_of_parent);
  BOOST_TEST(bare(kek.duplicate(session.get(), ESYS_TR_RH_NULL, TPM2_ALG_NULL)) != 0U);
}

BOOST_AUTO_TEST_CASE(a_duplicate_without_inner_wrap_is_refused_towards_an_approved_parent) {
  NodeFixture node;
  const Kek kek(node);
  const PolicySession session = kek.approved_session(tpm_name(node.key.public_area));
  BOOST_TEST(kek.duplicate(session.get(), node.storage.get(), TPM2_ALG_NULL) == symmetric_none);
  BOOST_TEST(kek.duplicate(session.get(), node.storage.get()) == TSS2_RC_SUCCESS);  // the session was right
}

BOOST_AUTO_TEST_CASE(selection_or_command_without_the_authority_duplicates_nothing) {
  NodeFixture node;
  const Kek kek(node);
  const Bytes parent = tpm_name(node.key.public_area);
  const PolicySession selected(node.esys());
  kek.select(selected.get(), parent);
  BOOST_TEST(bare(kek.duplicate(selected.get(), node.storage.get())) == rc::policy_fail);
  const PolicySession named(node.esys());
  command_code(node, named.get(), TPM2_CC_Duplicate);
  BOOST_TEST(bare(kek.duplicate(named.get(), node.storage.get())) == rc::policy_fail);
  // Approved by an authority, but another one than the KEK's policy names.
  const test::Administrator stranger;
  Approvals theirs = node.approvals;
  theirs.authority_public = stranger.authority_der();
  const Bytes approval = stranger.sign(policy_duplication_select(parent), kek_reference(node.administrator.cluster, 1));
  const PolicySession foreign = duplication_session(node.esys(), theirs, {kek.name, parent, 1, approval});
  BOOST_TEST(bare(kek.duplicate(foreign.get(), node.storage.get())) == rc::policy_fail);
}

BOOST_AUTO_TEST_CASE(an_approval_serves_the_one_parent_that_it_names) {
  NodeFixture node;
  const Kek kek(node);
  const Bytes other = tpm_name(recovery_public_area(generate_p256().point));
  const Digest reference = kek_reference(node.administrator.cluster, 1);
  const PolicySession session(node.esys());
  kek.select(session.get(), other);
  const Digest approved = policy_duplication_select(tpm_name(node.key.public_area));
  BOOST_TEST(authorize(node, session.get(), approved, reference) == policy_not_so);
  BOOST_TEST(authorize(node, session.get(), policy_duplication_select(other), reference) == TSS2_RC_SUCCESS);
}

BOOST_AUTO_TEST_CASE(a_signature_over_another_policy_is_refused_by_the_tpm) {
  NodeFixture node;
  const Transient loaded = load_authority(node);
  const Digest reference = node_reference(node.administrator.cluster, node.administrator.node);
  const auto digest = sized<TPM2B_DIGEST>(sha256(approval_message(purpose, reference)));
  const TPMT_SIGNATURE signature = signature_from_der(node.administrator.sign(input, reference));
  BOOST_TEST(Esys_VerifySignature(node.esys(), loaded.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                                  &signature, nullptr) == signature_wrong);
}

// kekRef and nodeRef keep the two kinds of approval apart, and commands are kept apart by what was signed for each.
BOOST_AUTO_TEST_CASE(approvals_of_another_kind_or_command_do_not_open_the_storage_key) {
  NodeFixture node;
  Approvals wrong = node.approvals;
  const auto& state = node.approvals.boot_states.front();
  wrong.boot_states.front().load =
      node.administrator.sign(boot_state_policy(node.approvals.pcrs, state.pcr_digest, TpmCommand::load),
                              kek_reference(node.administrator.cluster, 1));
  BOOST_CHECK_EXCEPTION(storage_key_session(node.esys(), wrong, TpmCommand::load), Error,
                        caused_by(errc::bad_signature));
  wrong.boot_states.front().load = state.import;
  BOOST_CHECK_EXCEPTION(storage_key_session(node.esys(), wrong, TpmCommand::load), Error,
                        caused_by(errc::bad_signature));
  const Kek kek(node);
  const PolicySession to_import = storage_key_session(node.esys(), node.approvals, TpmCommand::import);
  BOOST_TEST(bare(load(node, to_import.get(), kek.made.blob)) == rc::policy_cc);
}

// The operator would look for a change of the boot state that there was none of.
BOOST_AUTO_TEST_CASE(a_policy_that_fails_in_the_approved_boot_state_is_not_told_as_another_one) {
  NodeFixture node;
  const Kek kek(node);
  test::Administrator stranger;
  stranger.cluster = node.administrator.cluster;
  stranger.node = node.administrator.node;
  const Approvals theirs =
      stranger.approve(node.key.public_area, node.approvals.pcrs, node.approvals.boot_states.front().pcr_digest);
  const Parent parent{node.storage.get(), theirs};
  const auto policy_failed = [](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code().category() == tss_category() &&
           bare(static_cast<TSS2_RC>(error.code().value())) == rc::policy_fail;
  };
  BOOST_CHECK_EXCEPTION(load_kek(node.esys(), parent, kek.made.blob, kek.name), Error, policy_failed);
  BOOST_CHECK_EXCEPTION(create_kek(node.esys(), parent, purpose), Error, policy_failed);
}

BOOST_AUTO_TEST_CASE(after_a_bound_pcr_was_extended_neither_load_nor_import_is_to_be_had) {
  NodeFixture node;
  Kek kek(node);
  const Duplicate duplicate = kek.duplicate_to(node.key.public_area);
  kek.loaded.end();
  const PolicySession to_load = storage_key_session(node.esys(), node.approvals, TpmCommand::load);
  const PolicySession to_import = storage_key_session(node.esys(), node.approvals, TpmCommand::import);
  node.swtpm.extend_pcr(7, "another boot state");
  // Sessions opened before.
  BOOST_TEST(bare(load(node, to_load.get(), kek.made.blob)) == rc::pcr_changed);
  BOOST_TEST(bare(import(node, to_import.get(), kek.made.blob.public_area, duplicate)) == rc::pcr_changed);
  // A session that tells the present values has no approval, and one without is refused by the key.
  for (const TpmCommand command : {TpmCommand::load, TpmCommand::import}) {
    const PolicySession session(node.esys());
    const TPM2B_DIGEST present{};
    const TPML_PCR_SELECTION selection = select_pcrs({7});
    check(Esys_PolicyPCR(node.esys(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &present, &selection),
          "TPM2_PolicyPCR", "");
    command_code(node, session.get(), static_cast<TPM2_CC>(command));
    const Digest approved = boot_state_policy({7}, node.approvals.boot_states.front().pcr_digest, command);
    BOOST_TEST(authorize(node, session.get(), approved,
                         node_reference(node.administrator.cluster, node.administrator.node)) == policy_not_so);
    const TSS2_RC code = command == TpmCommand::load
                             ? load(node, session.get(), kek.made.blob)
                             : import(node, session.get(), kek.made.blob.public_area, duplicate);
    BOOST_TEST(bare(code) == rc::policy_fail);
  }
}

BOOST_AUTO_TEST_CASE(a_duplicate_opens_in_the_tpm_that_it_was_made_for_and_in_no_other) {
  NodeFixture a;
  for (const StorageAlgorithm algorithm : {StorageAlgorithm::ecc_p256, StorageAlgorithm::rsa_2048}) {
    NodeFixture b({7}, algorithm), c({7}, algorithm);
    const Kek kek(a);
    const Secret expected = hmac_of(a, kek.loaded.get());
    const Duplicate for_b = kek.duplicate_to(b.key.public_area);
    for (NodeFixture* other : {&c, &a})
      BOOST_CHECK_EXCEPTION(import_kek(other->esys(), other->parent(), kek.made.blob.public_area, arrived(for_b)),
                            Error, caused_by(errc::wrong_key));
    const KekBlob imported = import_kek(b.esys(), b.parent(), kek.made.blob.public_area, arrived(for_b));
    const Transient loaded = load_kek(b.esys(), b.parent(), imported, kek.name);
    BOOST_TEST(equals(hmac_of(b, loaded.get()), expected));
    BOOST_CHECK_EXCEPTION(load_kek(c.esys(), c.parent(), imported, kek.name), Error, caused_by(errc::tpm_cleared));
    // Who only imported can seed the next: the KEK's approvals are its cluster's, the bus key is B's own.
    const Duplicate onwards = duplicate_kek(b.esys(), {b.storage.get(), a.approvals}, loaded.get(),
                                            {c.key.public_area, 1, kek.approval_of(tpm_name(c.key.public_area))});
    const KekBlob at_c = import_kek(c.esys(), c.parent(), kek.made.blob.public_area, arrived(onwards));
    BOOST_TEST(equals(hmac_of(c, load_kek(c.esys(), c.parent(), at_c, kek.name).get()), expected));
  }
}

BOOST_AUTO_TEST_CASE(a_duplicate_whose_public_area_lost_its_policy_or_wrap_is_refused) {
  NodeFixture node;
  Kek kek(node);
  const Duplicate duplicate = kek.duplicate_to(node.key.public_area);
  kek.loaded.end();
  for (const bool policy : {true, false}) {
    TPM2B_PUBLIC weakened = public_from(kek.made.blob.public_area);
    if (policy) weakened.publicArea.authPolicy.size = 0;
    if (!policy) weakened.publicArea.objectAttributes &= ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_ENCRYPTEDDUPLICATION);
    BOOST_CHECK_EXCEPTION(import_kek(node.esys(), node.parent(), public_area_of(weakened), arrived(duplicate)), Error,
                          caused_by(errc::wrong_key));
  }
}

// The limit of the PCR gate, which guards the load alone; stClear ends it at the latest with the next reset.
BOOST_AUTO_TEST_CASE(a_saved_context_of_the_kek_outlives_a_pcr_change_and_ends_with_a_reset) {
  NodeFixture node;
  Kek kek(node);
  TPMS_CONTEXT* raw = nullptr;
  check(Esys_ContextSave(node.esys(), kek.loaded.get(), &raw), "TPM2_ContextSave", "the KEK");
  const Returned<TPMS_CONTEXT> saved(raw);
  kek.loaded.end();
  const auto reload = [&] {
    ESYS_TR handle = ESYS_TR_NONE;
    const TSS2_RC code = Esys_ContextLoad(node.esys(), saved.get(), &handle);
    const Transient loaded(node.esys(), code == TSS2_RC_SUCCESS ? handle : ESYS_TR_NONE);
    return code;
  };
  node.swtpm.extend_pcr(7, "another boot state");
  BOOST_TEST(reload() == TSS2_RC_SUCCESS);
  node.swtpm.power_cycle();
  node.reopen();
  BOOST_TEST(bare(reload()) == rc::integrity);
}
