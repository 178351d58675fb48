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
  const Duplicate duplicate = duplicate_kek(node.esys(), node.parent(), kek.get(), {node.key.public_area, approval});
  kek.end();
  const KekBlob imported = import_kek(node.esys(), node.parent(), made.blob.public_area, duplicate);
  const Transient again = load_kek(node.esys(), node.parent(), imported, name);
  BOOST_TEST(equals(before, hmac_of(node, again.get())));
}

BOOST_AUTO_TEST_CASE(the_software_tpm_is_found_suitable) {
  NodeFixture node;
  const TpmFacts facts = read_facts(node.esys());
  BOOST_TEST_MESSAGE(facts.printed());
  BOOST_TEST(facts.missing.empty());
}
