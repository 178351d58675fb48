// What a TPM node that wants to join cannot pretend: keys of two TPMs as one node's, another node's storage key, an
// attestation key that would sign anything. What both kinds of store must do is in tests/support/kek_join.cpp.
#include <tss2/tss2_esys.h>

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/join_proof.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

auto because(errc cause) {
  return [cause](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause;
  };
}

// A node with keys and without approvals; all of one administrator's are the same node to the authority.
struct Newcomer {
  explicit Newcomer(const test::Administrator& administrator) {
    TpmStoreOptions options;
    options.tcti = swtpm.tcti();
    options.directory = directory.path / "keys";
    store = std::make_unique<TpmKekStore>(options);
    identity = store->identity(administrator.request());
  }
  test::Swtpm swtpm;
  test::TemporaryDirectory directory;
  std::unique_ptr<TpmKekStore> store;
  NodeIdentity identity;
};

// Where a maker leaves the certificate of an RSA endorsement key; what stands in it, nobody reads here.
void leave_rsa_certificate(const test::Swtpm& swtpm) {
  const tpm::TpmContext context(swtpm.tcti());
  TPM2B_NV_PUBLIC place{};
  place.nvPublic.nvIndex = 0x01C00002;
  place.nvPublic.nameAlg = TPM2_ALG_SHA256;
  place.nvPublic.attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD;
  place.nvPublic.dataSize = 8;
  const TPM2B_AUTH no_auth{};
  ESYS_TR handle = ESYS_TR_NONE;
  tpm::check(Esys_NV_DefineSpace(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                 &no_auth, &place, &handle),
             "TPM2_NV_DefineSpace", "a certificate's place");
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_rsa_endorsement_key_proves_as_an_ecc_one_does) {
  const test::Administrator administrator;
  test::Swtpm swtpm;
  leave_rsa_certificate(swtpm);
  test::TemporaryDirectory directory;
  TpmStoreOptions options;
  options.tcti = swtpm.tcti();
  options.directory = directory.path / "keys";
  TpmKekStore store(options);
  const NodeIdentity identity = store.identity(administrator.request());
  BOOST_TEST(endorsement_public_of(identity.endorsement_key).modulus.size() == 256U);
  const JoinQuestion question(identity, administrator.request());
  BOOST_TEST(question.challenge().credential_seed.size() == 256U);
  BOOST_CHECK_NO_THROW(question.require(store.answer(question.challenge())));
  for (const std::size_t at : {0U, 100U, 255U}) {
    JoinChallenge altered = question.challenge();
    altered.credential_seed[at] ^= 1;
    BOOST_CHECK_THROW(store.answer(altered), Error);
  }
  BOOST_CHECK_NO_THROW(question.require(store.answer(question.challenge())));
}

BOOST_AUTO_TEST_CASE(keys_of_two_tpms_are_no_node) {
  const test::Administrator administrator;
  Newcomer a(administrator), b(administrator);
  NodeIdentity mixed = a.identity;
  mixed.attestation_key = b.identity.attestation_key;
  const JoinQuestion question(mixed, administrator.request());
  BOOST_CHECK_EXCEPTION(a.store->answer(question.challenge()), Error, because(errc::wrong_key));
  BOOST_CHECK_EXCEPTION(b.store->answer(question.challenge()), Error, because(errc::wrong_key));
}

BOOST_AUTO_TEST_CASE(the_storage_key_of_another_tpm_is_not_certified) {
  const test::Administrator administrator;
  Newcomer a(administrator), b(administrator);
  NodeIdentity claimed = a.identity;
  claimed.storage_key = b.identity.storage_key;
  const JoinQuestion question(claimed, administrator.request());
  const JoinProof proof = a.store->answer(question.challenge());
  BOOST_CHECK_EXCEPTION(question.require(proof), Error, because(errc::bad_signature));
  // Nor is a key that nobody's TPM has.
  claimed.storage_key = storage_public_area(generate_p256().point, administrator.storage_policy());
  const JoinQuestion invented(claimed, administrator.request());
  BOOST_CHECK_EXCEPTION(invented.require(a.store->answer(invented.challenge())), Error, because(errc::bad_signature));
}

BOOST_AUTO_TEST_CASE(keys_of_another_form_are_not_even_asked) {
  const test::Administrator administrator, stranger;
  const Newcomer node(administrator);
  const auto refused = because(errc::tpm_unsuitable);
  const auto with = [&](Bytes NodeIdentity::*key, std::uint32_t attribute) {
    NodeIdentity identity = node.identity;
    TPM2B_PUBLIC area = tpm::public_from(identity.*key);
    area.publicArea.objectAttributes ^= attribute;
    identity.*key = tpm::public_area_of(area);
    return identity;
  };
  for (const auto& identity :
       {with(&NodeIdentity::attestation_key, TPMA_OBJECT_RESTRICTED),  // a look-alike that signs anything
        with(&NodeIdentity::attestation_key, TPMA_OBJECT_FIXEDTPM),
        with(&NodeIdentity::storage_key, TPMA_OBJECT_FIXEDTPM),
        with(&NodeIdentity::storage_key, TPMA_OBJECT_USERWITHAUTH),
        with(&NodeIdentity::endorsement_key, TPMA_OBJECT_FIXEDTPM)}) {
    BOOST_CHECK_EXCEPTION(JoinQuestion(identity, administrator.request()), Error, refused);
  }
  // Keys that obey another authority.
  BOOST_CHECK_EXCEPTION(JoinQuestion(node.identity, stranger.request()), Error, refused);
}
