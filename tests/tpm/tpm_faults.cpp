// Every fault of the way to the TPM, at every command of every verb of the KekStore: an error or the right result, and
// a next call that works. group_keys and create are in tpm_bus.cpp; adopt asks the TPM nothing, as that shows.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <functional>

#include "agent/keys/recovery.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::Fault;
using volcrypt::test::StoreFixture;

namespace {

constexpr Fault all_faults[] = {Fault::busy,   Fault::yielded, Fault::shortened, Fault::cut,
                                Fault::closed, Fault::lost,    Fault::flipped};

// What nothing authenticates may be wrong after the others.
bool is_told(Fault fault) { return fault != Fault::flipped && fault != Fault::shortened; }

// A node with one KEK, whose TPM is reached through the proxy.
struct Node : StoreFixture {
  Node() : proxy(swtpm.socket()) {
    approvals.recovery_public = recovery_public_area(recovery.public_point());
    approvals.recovery_approval = administrator.sign(policy_duplication_select(tpm_name(approvals.recovery_public)),
                                                     kek_reference(administrator.cluster, 1));
    store->adopt(approvals);
    tcti = proxy.tcti();
    restart();
    record = store->create(1);
    proof = store->prove(record, nonce);
    key = group_key();
  }
  Secret group_key() { return std::move(store->group_keys(1, {group}).front()); }

  // `verb` throws Error or checks its result. Each fault at the first, second, third ... command, until one run is
  // unharmed. Returns how many runs were refused.
  unsigned try_every_fault(const std::function<void(Fault)>& verb) {
    unsigned refused = 0;
    for (const Fault fault : all_faults) {
      for (unsigned step = 0;; ++step) {
        BOOST_REQUIRE(step < 300U);
        restart();  // so that everything is opened and loaded
        proxy.order({fault, 0, step, 1, 13 + 7 * step});
        try {
          verb(fault);
        } catch (const Error& error) {
          BOOST_TEST_MESSAGE(error.what());
          ++refused;
        }
        const bool harmed = proxy.harmed() > 0;
        proxy.order({});
        BOOST_TEST(equals(group_key(), key));
        if (!harmed) break;
      }
    }
    store->lock();
    const tpm::TpmContext context(swtpm.tcti());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).empty());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).empty());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST).size() == 1U);
    return refused;
  }

  const Uuid group = Uuid::random();
  const Digest nonce = sha256(as_bytes("nonce"));
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, administrator.cluster);
  KekRecord record;
  Digest proof{};
  Secret key = Secret(32);
  test::TctiProxy proxy;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_proof_under_every_fault_is_refused_or_right, Node) {
  const unsigned refused = try_every_fault([&](Fault) { BOOST_TEST((store->prove(record, nonce) == proof)); });
  BOOST_TEST(refused > 20U);
  const auto held = store->held();
  BOOST_TEST(held.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_recovery_blob_made_under_every_fault_is_refused_or_opens, Node) {
  const unsigned refused = try_every_fault([&](Fault) {
    const RecoveryBlob blob = store->duplicate_to_recovery(record);
    const RecoveredKek kek = RecoveredKek::open(blob, recovery, administrator.cluster);
    BOOST_TEST(equals(kek.group_key(administrator.cluster, group), key));
  });
  BOOST_TEST(refused > 20U);
}

BOOST_FIXTURE_TEST_CASE(an_identity_under_every_fault_is_refused_or_the_same_and_makes_no_second_key, Node) {
  const unsigned refused = try_every_fault([&](Fault) {
    const NodeIdentity same = store->identity(administrator.request());
    BOOST_TEST(same.storage_key == identity.storage_key);
    BOOST_TEST(same.attestation_key == identity.attestation_key);
  });
  BOOST_TEST(refused > 10U);
}

// PCR values and what warnings are made of are read without a session: a flipped bit may show a wrong value there, and
// so may half an answer, behind whose end tpm2-tss 3.2 reads on in its own buffer. That opens nothing. Both are one
// command.
BOOST_FIXTURE_TEST_CASE(a_report_under_every_fault_is_refused_or_right_and_opens_nothing, Node) {
  const unsigned refused = try_every_fault([&](Fault fault) {
    const BootReport report = store->boot_report();
    if (is_told(fault)) BOOST_TEST(report.approved_now);
  });
  BOOST_TEST(refused >= 3U);
}

BOOST_FIXTURE_TEST_CASE(warnings_under_every_fault_are_refused_or_the_same, Node) {
  const auto warnings = store->warnings();
  BOOST_TEST(!warnings.empty());  // of the empty lockout authorisation
  const unsigned refused = try_every_fault([&](Fault fault) {
    const auto told = store->warnings();
    if (is_told(fault)) BOOST_TEST(told == warnings, boost::test_tools::per_element());
  });
  BOOST_TEST(refused >= 3U);
}
