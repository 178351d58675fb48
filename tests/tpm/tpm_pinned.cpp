// Keys that are not ours though they stand where ours should: a look-alike at the storage key's handle, a KEK of
// another form; and a chip that fails its self-test. Through the KekStore, as the agent uses it.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/stored_kek.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::Fault;
using volcrypt::test::StoreFixture;

namespace {

constexpr TPM2_HANDLE pinned_handle = 0x81015600;
const Uuid group = Uuid::random();

auto is(errc cause, std::string word = {}) {
  return [cause, word = std::move(word)](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause && std::string(error.what()).find(word) != std::string::npos;
  };
}

Secret group_key(StoreFixture& node) { return std::move(node.store->group_keys(1, {group}).front()); }

// Ours evicted, and another storage key of the same shape in its place.
tpm::StorageKey put_look_alike(StoreFixture& node, const Digest& policy) {
  node.store->lock();
  const tpm::TpmContext context(node.tcti);
  tpm::evict_storage_key(context.esys(), {pinned_handle, node.identity.storage_key});
  return tpm::ensure_storage_key(context.esys(), tpm::StorageAlgorithm::ecc_p256, policy, pinned_handle);
}

// A KEK that the TPM makes under the node's storage key, with attributes of the caller's choice: as it would be stored
// here, and on its way to this node itself. Its birth certificate is a true one.
struct OddKek {
  StoredKek stored;
  KekTransfer transfer;
};

OddKek kek_with(StoreFixture& node, TPMA_OBJECT attributes) {
  const tpm::TpmContext context(node.tcti);
  ESYS_CONTEXT* const esys = context.esys();
  const tpm::OpenHandle storage = tpm::open_pinned(esys, {pinned_handle, node.identity.storage_key});
  BOOST_REQUIRE(bool(storage));
  const tpm::PolicySession session = tpm::storage_key_session(esys, node.approvals, TpmCommand::create);
  const Digest policy = kek_policy(tpm::authority_name(node.approvals.authority_public), node.approvals.cluster, 1);
  TPM2B_PUBLIC wanted = tpm::public_from(kek_public_area({}, policy));
  wanted.publicArea.objectAttributes = attributes;
  wanted.publicArea.unique.keyedHash.size = 0;
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const auto purpose = tpm::sized<TPM2B_DATA>(tpm::birth_purpose(node.approvals.cluster, 1, 1));
  const TPML_PCR_SELECTION no_pcrs{};
  TPM2B_PRIVATE* raw_private = nullptr;
  TPM2B_PUBLIC* raw_public = nullptr;
  TPM2B_CREATION_DATA* raw_data = nullptr;
  TPM2B_DIGEST* raw_hash = nullptr;
  TPMT_TK_CREATION* raw_ticket = nullptr;
  tpm::check(Esys_Create(esys, storage.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted, &purpose,
                         &no_pcrs, &raw_private, &raw_public, &raw_data, &raw_hash, &raw_ticket),
             "TPM2_Create", "a KEK of another form");
  const tpm::Returned<TPM2B_PRIVATE> private_area(raw_private);
  const tpm::Returned<TPM2B_PUBLIC> public_area(raw_public);
  tpm::Creation creation;
  creation.data.reset(raw_data);
  creation.hash.reset(raw_hash);
  creation.ticket.reset(raw_ticket);
  OddKek made;
  made.stored.blob = tpm::content_of(*private_area);
  made.stored.record = {1, Protection::tpm, {}, tpm::public_area_of(*public_area), {}, 1};
  made.stored.record.name = tpm_name(made.stored.record.public_area);
  const tpm::Parent parent{storage.get(), node.approvals};
  const tpm::Transient kek =
      tpm::load_kek(esys, parent, {made.stored.record.public_area, made.stored.blob}, made.stored.record.name);
  made.stored.record.birth = tpm::certify_birth(esys, kek.get(), tpm::make_attestation_key(esys), creation);
  tpm::Duplicate sent = tpm::duplicate_kek(
      esys, parent, kek.get(), {node.identity.storage_key, 1, node.approvals.duplication_approvals.front().signature});
  made.transfer = {made.stored.record, std::move(sent.blob), std::move(sent.seed), std::move(sent.inner_key)};
  return made;
}

// A node that has no keys yet, whose TPM is reached through the proxy.
struct FreshNode {
  const test::Swtpm swtpm;
  const test::TemporaryDirectory directory;
  const test::Administrator administrator;
  test::TctiProxy proxy{swtpm.socket()};
  TpmStoreOptions options = [this] {
    TpmStoreOptions made;
    made.tcti = proxy.tcti();
    made.directory = directory.path;
    return made;
  }();
  TpmKekStore store{options};
};

// Of a TPM2_CreatePrimary as it goes over the bus (TPM 2.0 Part 3, section 24.1): header, handle, authorisation,
// inSensitive, inPublic.
std::size_t number_at(const Bytes& request, std::size_t at, std::size_t bytes) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) number = number << 8 | request.at(at + i);
  return number;
}
std::size_t hierarchy_of(const Bytes& request) { return number_at(request, 10, 4); }
std::size_t type_of_primary(const Bytes& request) {
  const std::size_t sensitive = 18 + number_at(request, 14, 4);
  return number_at(request, sensitive + 2 + number_at(request, sensitive, 2) + 2, 2);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_look_alike_at_the_storage_keys_handle_is_refused_by_its_name) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = group_key(node);
  const tpm::StorageKey look_alike = put_look_alike(node, test::Administrator().storage_policy());
  BOOST_TEST(look_alike.handle == pinned_handle);
  {
    const tpm::TpmContext context(node.tcti);
    BOOST_TEST(!tpm::open_pinned(context.esys(), {pinned_handle, node.identity.storage_key}));
  }
  node.restart();
  BOOST_TEST(equals(group_key(node), key));  // ours was made again, beside it
  node.store->lock();
  const tpm::TpmContext context(node.tcti);
  BOOST_TEST(bool(tpm::open_pinned(context.esys(), look_alike)));
  BOOST_TEST(bool(tpm::open_pinned(context.esys(), {pinned_handle + 1, node.identity.storage_key})));
}

// The same template and policy, in a TPM that was cleared: only the Name tells.
BOOST_AUTO_TEST_CASE(a_look_alike_of_the_same_form_in_a_cleared_tpm_is_told_as_a_cleared_tpm) {
  StoreFixture node;
  node.store->create(1);
  node.store->lock();
  node.swtpm.clear();
  put_look_alike(node, node.administrator.storage_policy());
  node.restart();
  BOOST_CHECK_EXCEPTION(group_key(node), Error, is(errc::tpm_cleared, "recovery open"));
}

BOOST_AUTO_TEST_CASE(a_kek_of_another_form_is_refused_even_when_its_name_is_on_record) {
  StoreFixture node;
  node.store->create(2);
  node.store->lock();
  const KekFiles files(node.options().directory);
  const StoredKek good = kek_with(node, kek_attributes).stored;
  files.file("kek-1").write(as_bytes(to_json(good)));
  node.restart();
  BOOST_CHECK_NO_THROW(node.store->prove(good.record, {}));  // shows that the form is what is refused below
  for (const TPMA_OBJECT other : {kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_STCLEAR),
                                  kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_NODA),
                                  kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_ENCRYPTEDDUPLICATION)}) {
    node.store->lock();
    const StoredKek weak = kek_with(node, other).stored;
    files.file("kek-1").write(as_bytes(to_json(weak)));
    node.restart();
    BOOST_CHECK_EXCEPTION(group_key(node), Error, is(errc::impostor_kek, "attributes"));
    BOOST_CHECK_EXCEPTION(node.store->prove(weak.record, {}), Error, is(errc::impostor_kek, "attributes"));
    BOOST_CHECK_EXCEPTION(node.store->duplicate_to_recovery(weak.record), Error, is(errc::impostor_kek, "attributes"));
  }
  BOOST_CHECK_NO_THROW(node.store->group_keys(2, {group}));
}

// What a member that turned against the others could make in its TPM, certify and send.
BOOST_AUTO_TEST_CASE(a_kek_of_another_form_is_not_taken_over_whoever_certifies_it) {
  StoreFixture node;
  const std::vector<Bytes> members{node.identity.attestation_key};
  node.store->lock();
  for (const TPMA_OBJECT other : {kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_STCLEAR),
                                  kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_NODA),
                                  kek_attributes & ~static_cast<TPMA_OBJECT>(TPMA_OBJECT_ENCRYPTEDDUPLICATION)}) {
    const OddKek weak = kek_with(node, other);
    BOOST_CHECK_EXCEPTION(node.store->import(weak.transfer, members), Error, is(errc::impostor_kek, "attributes"));
    node.store->lock();
  }
  BOOST_TEST(node.store->kept().empty());
  const OddKek good = kek_with(node, kek_attributes);  // shows that the form is what was refused
  node.store->import(good.transfer, members);
  BOOST_CHECK_NO_THROW(node.store->prove(good.stored.record, {}));
}

// tpm2-tss#1700: a chip that goes into failure mode at LoadExternal of our parent's public key; and its like.
BOOST_FIXTURE_TEST_CASE(a_chip_that_fails_a_command_of_the_self_test_is_unsuitable_and_keeps_nothing, FreshNode) {
  struct Step {
    TPM2_CC command;
    const char* name;
  };
  for (const auto& [command, name] : {Step{TPM2_CC_CreatePrimary, "TPM2_CreatePrimary"},
                                      Step{TPM2_CC_Create, "TPM2_Create"}, Step{TPM2_CC_Load, "TPM2_Load"},
                                      Step{TPM2_CC_HMAC, "TPM2_HMAC"}, Step{TPM2_CC_LoadExternal, "TPM2_LoadExternal"},
                                      Step{TPM2_CC_Duplicate, "TPM2_Duplicate"}, Step{TPM2_CC_Import, "TPM2_Import"}}) {
    proxy.order({Fault::failing, command, 0, 1, 0});
    BOOST_CHECK_EXCEPTION(store.identity(administrator.request()), Error, is(errc::tpm_unsuitable, name));
    BOOST_TEST(proxy.harmed() == 1U);
    store.lock();
    const tpm::TpmContext context(swtpm.tcti());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST).empty());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).empty());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).empty());
  }
  proxy.order({});
  BOOST_CHECK_NO_THROW(store.identity(administrator.request()));
}

BOOST_FIXTURE_TEST_CASE(what_says_nothing_of_the_chip_makes_no_tpm_unsuitable, FreshNode) {
  for (const Fault fault : {Fault::busy, Fault::yielded, Fault::shortened, Fault::cut, Fault::closed, Fault::lost}) {
    proxy.order({fault, TPM2_CC_Import, 0, 1000, 0});
    BOOST_CHECK_EXCEPTION(store.identity(administrator.request()), Error, [](const Error& error) {
      BOOST_TEST_MESSAGE(error.what());
      return error.code() != errc::tpm_unsuitable;
    });
    BOOST_TEST(proxy.harmed() > 0U);
  }
  proxy.order({});
  BOOST_CHECK_NO_THROW(store.identity(administrator.request()));
}

BOOST_FIXTURE_TEST_CASE(an_rsa_storage_key_is_tried_as_rsa_and_is_not_offered_where_it_failed, FreshNode) {
  const auto offers_rsa = [](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == errc::tpm_unsuitable &&
           std::string(error.what()).find("storage-key = rsa") != std::string::npos;
  };
  proxy.order({Fault::failing, TPM2_CC_Import, 0, 1, 0});
  BOOST_CHECK_EXCEPTION(store.identity(administrator.request()), Error, offers_rsa);
  store.lock();
  options.algorithm = tpm::StorageAlgorithm::rsa_2048;
  TpmKekStore with_rsa(options);
  proxy.order({Fault::failing, TPM2_CC_Import, 0, 1, 0});
  BOOST_CHECK_EXCEPTION(with_rsa.identity(administrator.request()), Error,
                        [&](const Error& error) { return !offers_rsa(error); });
  proxy.order({});
  proxy.take_traffic();
  const NodeIdentity identity = with_rsa.identity(administrator.request());
  BOOST_TEST(tpm::public_from(identity.storage_key).publicArea.type == TPM2_ALG_RSA);
  unsigned tried = 0;
  for (const auto& exchange : proxy.take_traffic()) {
    if (exchange.command != TPM2_CC_CreatePrimary || hierarchy_of(exchange.request) != TPM2_RH_NULL) continue;
    BOOST_TEST(type_of_primary(exchange.request) == TPM2_ALG_RSA);
    ++tried;
  }
  BOOST_TEST(tried == 1U);
}
