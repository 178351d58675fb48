// The TPM's objects and policies, one level below the KekStore: what the software computes equals what the TPM reports,
// the three holes of the TPM facts stay shut, and the refusals are refusals.
#include <tss2/tss2_esys.h>

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/capabilities.hpp"
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

const Digest purpose = sha256(as_bytes("purpose"));
const Digest input = sha256(as_bytes("input"));

Secret hmac_of(NodeFixture& node, ESYS_TR kek, HmacRoute route = HmacRoute::direct) {
  SaltedSession session(node.esys(), node.storage.get());
  return hmac(node.esys(), session, {route, kek, Use::last}, input);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_storage_key_has_exactly_the_approved_form_and_survives_a_power_cycle) {
  NodeFixture node;
  BOOST_TEST(node.key.handle >= 0x81010100U);
  const TPM2B_PUBLIC area = public_from(node.key.public_area);
  BOOST_TEST(node.key.public_area == storage_public_area(point_of(area), node.administrator.storage_policy()));
  node.swtpm.power_cycle();
  node.reopen();
  BOOST_TEST(bool(node.storage));
}

BOOST_AUTO_TEST_CASE(a_kek_is_made_loaded_and_gives_the_same_hmac_by_both_routes) {
  NodeFixture node;
  const NewKek made = create_kek(node.esys(), node.parent(), purpose);
  const Bytes name = tpm_name(made.blob.public_area);
  const Transient kek = load_kek(node.esys(), node.parent(), made.blob, name);
  const Secret direct = hmac_of(node, kek.get());
  const Secret sequence = hmac_of(node, kek.get(), HmacRoute::sequence);
  BOOST_TEST(equals(direct, sequence));
  const AttestationKey ak = make_attestation_key(node.esys());
  const Bytes birth = certify_birth(node.esys(), kek.get(), ak, made.creation);
  check_birth(birth, name, ak.public_area, purpose);
  BOOST_TEST(handles_of(node.esys(), TPM2_LOADED_SESSION_FIRST).size() == 0U);
  BOOST_TEST(handles_of(node.esys(), TPM2_TRANSIENT_FIRST).size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_kek_is_duplicated_and_imported_again_with_the_same_hmac) {
  NodeFixture node;
  const NewKek made = create_kek(node.esys(), node.parent(), purpose);
  const Bytes name = tpm_name(made.blob.public_area);
  Transient kek = load_kek(node.esys(), node.parent(), made.blob, name);
  const Secret before = hmac_of(node, kek.get());
  // This node as its own peer: approve its storage key for duplication.
  const Bytes approval = node.administrator.sign(policy_duplication_select(tpm_name(node.key.public_area)),
                                                 kek_reference(node.administrator.cluster, 1));
  const Duplicate duplicate = duplicate_kek(node.esys(), node.parent(), kek.get(), {node.key.public_area, 1, approval});
  kek.end();
  const KekBlob imported = import_kek(node.esys(), node.parent(), made.blob.public_area, arrived(duplicate));
  const Transient again = load_kek(node.esys(), node.parent(), imported, name);
  BOOST_TEST(equals(before, hmac_of(node, again.get())));
}

BOOST_AUTO_TEST_CASE(the_software_tpm_is_found_suitable) {
  NodeFixture node;
  const TpmFacts facts = read_facts(node.esys());
  BOOST_TEST_MESSAGE(facts.printed());
  BOOST_TEST(facts.missing.empty());
}

namespace {

Digest digest_of(NodeFixture& node, ESYS_TR session) {
  TPM2B_DIGEST* raw = nullptr;
  check(Esys_PolicyGetDigest(node.esys(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw),
        "TPM2_PolicyGetDigest", "a session");
  const Returned<TPM2B_DIGEST> returned(raw);
  Digest digest{};
  std::copy_n(returned->buffer, digest.size(), digest.begin());
  return digest;
}

Transient trial_session(NodeFixture& node) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  ESYS_TR session = ESYS_TR_NONE;
  check(Esys_StartAuthSession(node.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              nullptr, TPM2_SE_TRIAL, &none, TPM2_ALG_SHA256, &session),
        "TPM2_StartAuthSession", "a trial");
  return Transient(node.esys(), session);
}

// A loaded KEK and this node's own storage key as an approved new parent.
struct LoadedKek {
  explicit LoadedKek(NodeFixture& node)
      : made(create_kek(node.esys(), node.parent(), purpose)),
        name(tpm_name(made.blob.public_area)),
        kek(load_kek(node.esys(), node.parent(), made.blob, name)),
        approval(node.administrator.sign(policy_duplication_select(tpm_name(node.key.public_area)),
                                         kek_reference(node.administrator.cluster, 1))) {}
  NewKek made;
  Bytes name;
  Transient kek;
  Bytes approval;
};

auto caused_by(const boost::system::error_code& cause) {
  return [cause](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause;
  };
}
auto answered(TSS2_RC code) {
  return [code](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code().category() == tss_category() && bare(static_cast<TSS2_RC>(error.code().value())) == code;
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(policy_digests_of_the_software_equal_those_of_trial_and_real_sessions) {
  NodeFixture node({0, 7, 14});
  const auto& state = node.approvals.boot_states.front();
  {
    const Transient trial = trial_session(node);
    const auto pcr = sized<TPM2B_DIGEST>(state.pcr_digest);
    const TPML_PCR_SELECTION selection = select_pcrs({0, 7, 14});
    check(Esys_PolicyPCR(node.esys(), trial.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pcr, &selection),
          "TPM2_PolicyPCR", "");
    check(Esys_PolicyCommandCode(node.esys(), trial.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CC_Load),
          "TPM2_PolicyCommandCode", "");
    BOOST_TEST((digest_of(node, trial.get()) == boot_state_policy({0, 7, 14}, state.pcr_digest, TpmCommand::load)));
  }
  for (const TpmCommand command : {TpmCommand::create, TpmCommand::load, TpmCommand::import}) {
    const PolicySession session = storage_key_session(node.esys(), node.approvals, command);
    BOOST_TEST((digest_of(node, session.get()) == node.administrator.storage_policy()));
  }
  const LoadedKek kek(node);
  const PolicySession session =
      duplication_session(node.esys(), node.approvals,
                          {kek.name, tpm_name(node.approvals.recovery_public), 1, node.approvals.recovery_approval});
  BOOST_TEST((digest_of(node, session.get()) ==
              kek_policy(authority_name(node.administrator.authority_der()), node.administrator.cluster, 1)));
}

BOOST_AUTO_TEST_CASE(rewrap_of_a_duplicate_is_refused_whatever_session_root_brings) {
  // Hole 1: with a storage key usable by password, this prints the KEK to the node's root.
  NodeFixture node;
  LoadedKek kek(node);
  const Duplicate duplicate =
      duplicate_kek(node.esys(), node.parent(), kek.kek.get(), {node.key.public_area, 1, kek.approval});
  kek.kek.end();
  const auto blob = sized<TPM2B_PRIVATE>(duplicate.blob);
  const TPM2B_ENCRYPTED_SECRET seed = seed_from(duplicate.seed);
  const TPM2B_NAME name = name_from(kek.name);
  const auto rewrap = [&](ESYS_TR session) {
    return bare(Esys_Rewrap(node.esys(), node.storage.get(), ESYS_TR_RH_NULL, session, ESYS_TR_NONE, ESYS_TR_NONE,
                            &blob, &name, &seed, nullptr, nullptr));
  };
  BOOST_TEST(rewrap(ESYS_TR_PASSWORD) == 0x12FU);  // AUTH_UNAVAILABLE
  for (const TpmCommand command : {TpmCommand::create, TpmCommand::load, TpmCommand::import}) {
    const PolicySession session = storage_key_session(node.esys(), node.approvals, command);
    const TSS2_RC code = rewrap(session.get());
    BOOST_TEST((code == rc::policy_cc || code == rc::policy_fail));
  }
}

BOOST_AUTO_TEST_CASE(a_kek_cannot_be_made_persistent_around_the_boot_state) {
  NodeFixture node;  // hole 2
  const LoadedKek kek(node);
  ESYS_TR kept = ESYS_TR_NONE;
  BOOST_TEST(bare(Esys_EvictControl(node.esys(), ESYS_TR_RH_OWNER, kek.kek.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, 0x81015700, &kept)) == rc::attributes);
}

BOOST_AUTO_TEST_CASE(a_kek_made_elsewhere_is_refused_by_its_name) {
  NodeFixture node;  // hole 3: another KEK under the same parent, with the right attributes and policy
  const NewKek wanted = create_kek(node.esys(), node.parent(), purpose);
  const NewKek impostor = create_kek(node.esys(), node.parent(), purpose);
  BOOST_CHECK_EXCEPTION(load_kek(node.esys(), node.parent(), impostor.blob, tpm_name(wanted.blob.public_area)), Error,
                        caused_by(errc::impostor_kek));
  BOOST_TEST(handles_of(node.esys(), TPM2_TRANSIENT_FIRST).empty());
  KekBlob mixed = impostor.blob;
  mixed.public_area = wanted.blob.public_area;
  BOOST_CHECK_EXCEPTION(load_kek(node.esys(), node.parent(), mixed, tpm_name(mixed.public_area)), Error,
                        caused_by(errc::tpm_cleared));
}

BOOST_AUTO_TEST_CASE(a_kek_goes_to_no_parent_that_the_authority_did_not_approve_for_this_epoch) {
  NodeFixture node;
  const LoadedKek kek(node);
  const Bytes other = recovery_public_area(generate_p256().point);
  const auto duplicate_to = [&](ESYS_TR session, const Bytes& area) {
    const TPM2B_PUBLIC target = public_from(area);
    ESYS_TR handle = ESYS_TR_NONE;
    check(Esys_LoadExternal(node.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &target, ESYS_TR_RH_NULL,
                            &handle),
          "TPM2_LoadExternal", "");
    const Transient loaded(node.esys(), handle);
    const auto inner = sized<TPM2B_DATA>(Bytes(16, 1));
    TPMT_SYM_DEF_OBJECT aes{};
    aes.algorithm = TPM2_ALG_AES;
    aes.keyBits.aes = 128;
    aes.mode.aes = TPM2_ALG_CFB;
    return bare(Esys_Duplicate(node.esys(), kek.kek.get(), loaded.get(), session, ESYS_TR_NONE, ESYS_TR_NONE, &inner,
                               &aes, nullptr, nullptr, nullptr));
  };
  // The approval of one parent for another; of another authority; of an older epoch.
  BOOST_CHECK_EXCEPTION(duplicate_kek(node.esys(), node.parent(), kek.kek.get(), {other, 1, kek.approval}), Error,
                        caused_by(errc::bad_signature));
  const Bytes stranger = test::Administrator().sign(policy_duplication_select(tpm_name(other)),
                                                    kek_reference(node.administrator.cluster, 1));
  BOOST_CHECK_EXCEPTION(duplicate_kek(node.esys(), node.parent(), kek.kek.get(), {other, 1, stranger}), Error,
                        caused_by(errc::bad_signature));
  const Bytes of_epoch_2 =
      node.administrator.sign(policy_duplication_select(tpm_name(other)), kek_reference(node.administrator.cluster, 2));
  BOOST_CHECK_EXCEPTION(duplicate_kek(node.esys(), node.parent(), kek.kek.get(), {other, 2, of_epoch_2}), Error,
                        answered(rc::policy_fail));
  // Selected and approved for one parent, sent to another.
  const PolicySession session =
      duplication_session(node.esys(), node.approvals, {kek.name, tpm_name(node.key.public_area), 1, kek.approval});
  BOOST_TEST(duplicate_to(session.get(), other) == rc::policy_fail);
  // No authority at all, and no session.
  const PolicySession bare_session(node.esys());
  BOOST_TEST(duplicate_to(bare_session.get(), other) == rc::policy_fail);
  BOOST_TEST(duplicate_to(ESYS_TR_PASSWORD, other) == 0x124U);  // AUTH_TYPE
}

BOOST_AUTO_TEST_CASE(import_refuses_a_wrong_inner_key_and_an_altered_public_area) {
  NodeFixture node;
  LoadedKek kek(node);
  Duplicate duplicate =
      duplicate_kek(node.esys(), node.parent(), kek.kek.get(), {node.key.public_area, 1, kek.approval});
  kek.kek.end();
  TPM2B_PUBLIC weakened = public_from(kek.made.blob.public_area);
  weakened.publicArea.objectAttributes &= ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_ENCRYPTEDDUPLICATION);
  BOOST_CHECK_EXCEPTION(import_kek(node.esys(), node.parent(), public_area_of(weakened), arrived(duplicate)), Error,
                        caused_by(errc::wrong_key));
  duplicate.inner_key.data()[0] ^= 1;
  BOOST_CHECK_EXCEPTION(import_kek(node.esys(), node.parent(), kek.made.blob.public_area, arrived(duplicate)), Error,
                        caused_by(errc::wrong_key));
  BOOST_TEST(handles_of(node.esys(), TPM2_LOADED_SESSION_FIRST).empty());
}

BOOST_AUTO_TEST_CASE(the_encrypted_session_serves_only_commands_that_it_can_encrypt) {
  NodeFixture node;
  SaltedSession session(node.esys(), node.storage.get());
  BOOST_CHECK_EXCEPTION(session.for_command(TPM2_CC_Sign, Use::last), Error, caused_by(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(SaltedSession(node.esys(), ESYS_TR_NONE), Error, caused_by(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_birth_certificate_speaks_of_one_key_one_purpose_and_one_attestation_key) {
  NodeFixture node;
  const LoadedKek kek(node);
  const AttestationKey ak = make_attestation_key(node.esys());
  const Bytes birth = certify_birth(node.esys(), kek.kek.get(), ak, kek.made.creation);
  const auto refused = caused_by(errc::impostor_kek);
  BOOST_CHECK_EXCEPTION(check_birth(birth, kek.name, ak.public_area, input), Error, refused);
  Bytes other_name = kek.name;
  other_name.back() ^= 1;
  BOOST_CHECK_EXCEPTION(check_birth(birth, other_name, ak.public_area, purpose), Error, refused);
  BOOST_CHECK_EXCEPTION(check_birth(birth, kek.name, attestation_public_area(generate_p256().point), purpose), Error,
                        refused);
  for (std::size_t at = 0; at < birth.size(); ++at) {
    Bytes altered = birth;
    altered[at] ^= 1;
    BOOST_CHECK_THROW(check_birth(altered, kek.name, ak.public_area, purpose), Error);
  }
}

// A session's answer that was altered on the bus fails its authorisation, too: nobody shall clear a TPM for that.
BOOST_AUTO_TEST_CASE(a_password_of_the_owner_is_suspected_only_where_the_owner_authorises) {
  const auto told = [](const char* command) {
    try {
      check(TPM2_RC_BAD_AUTH + TPM2_RC_S + TPM2_RC_1, command, "a key");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const char* command : {"TPM2_CreatePrimary", "TPM2_EvictControl"})
    BOOST_TEST(told(command).find("owner hierarchy") != std::string::npos, told(command));
  for (const char* command : {"TPM2_Load", "TPM2_Create", "TPM2_HMAC"}) {
    BOOST_TEST(told(command).find("owner") == std::string::npos, told(command));
    BOOST_TEST(told(command).find("try again") != std::string::npos, told(command));
  }
}
