// A KEK in the TPM is made, received and destroyed, and approvals are adopted, failing or cut off at every write,
// fsync, rename and unlink, with the TPM losing its power as well: afterwards the old or the new state is there, never
// neither, and the other generations are untouched. (FAILURES A: NixOS/nixpkgs#210329, vault#23073, nomad#27581; D:
// systemd#20668.)
#include <fstream>

#include "agent/keys/documents.hpp"
#include "agent/keys/messages.hpp"
#include "agent/keys/tpm/boot_state.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/failing_steps.hpp"
#include "tests/tpm/tpm_fixture.hpp"

namespace volcrypt::test {

namespace {

using namespace volcrypt::keys;

// A node with generations 1 and 2, and approvals that it has not adopted yet.
struct Node : StoreFixture {
  Uuid group = Uuid::random();
  Secret key_1{0}, key_2{0};
  Approvals newer;
  std::string letter = (directory.path / "letter").string();
  std::unique_ptr<Prepared> prepared;

  Node() {
    store->create(1);
    store->create(2);
    key_1 = std::move(store->group_keys(1, {group}).front());
    key_2 = std::move(store->group_keys(2, {group}).front());
    store.reset();
    newer = approvals;
    newer.boot_states.push_back(administrator.boot_state(newer.pcrs, Bytes(32, 7)));
    std::ofstream(letter, std::ios::binary) << to_json(newer);
    prepared = std::make_unique<Prepared>([&](const std::string& whole) {
      std::filesystem::copy(directory.path / "keys", whole + "/keys", std::filesystem::copy_options::recursive);
    });
  }

  TpmKekStore open() const {
    TpmStoreOptions used = options();
    used.directory = prepared->used + "/keys";
    return TpmKekStore(used);
  }
  bool opens(TpmKekStore& keys, Generation generation, const Secret& key) const {
    return equals(keys.group_keys(generation, {group}).front(), key);
  }

  // `check` sees the store of the next process, after a power cut.
  template <class Check>
  void fail_everywhere(const std::string& verb, Check check) {
    at_every_step(*prepared, {VOLCRYPT_TPM_SCENARIO, prepared->used, verb, tcti, letter}, [&](int status) {
      swtpm.power_cycle();
      TpmKekStore keys = open();
      check(keys, status);
      BOOST_TEST(opens(keys, 2, key_2));
    });
  }
};

// Generation 3 comes from another member's TPM; `letter` is the transfer.
struct Arriving : Node {
  Swtpm other_swtpm;
  TemporaryDirectory other_directory;
  Uuid other_id = Uuid::random();
  KekTransfer transfer;
  Bytes maker;  // the other's attestation key
  Digest proof{};
  Secret key_3{0};

  Arriving() {
    TpmStoreOptions used;
    used.tcti = other_swtpm.tcti();
    used.directory = other_directory.path / "keys";
    TpmKekStore sender(used);
    std::swap(administrator.node, other_id);
    const NodeIdentity sending = sender.identity(administrator.request());
    const Bytes digest = tpm::read_boot_state(tpm::TpmContext(other_swtpm.tcti()).esys(), {7}).digest_now;
    sender.adopt(administrator.approve(sending.storage_key, {7}, digest));
    std::swap(administrator.node, other_id);
    const KekRecord record = sender.create(3);
    key_3 = std::move(sender.group_keys(3, {group}).front());
    proof = sender.prove(record, Digest{1});
    maker = sending.attestation_key;
    transfer = sender.duplicate_to(record, {administrator.node, identity.storage_key, approvals.duplication_approvals});
    write(letter, as_bytes(to_json(transfer)));
    write(letter + ".inner", transfer.inner_key.view());
    write(letter + ".maker", maker);
  }
  static void write(const std::string& file, ByteView bytes) {
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }
};

bool holds(const TpmKekStore& keys, Generation generation) {
  for (const KekRecord& record : keys.held())
    if (record.generation == generation) return true;
  return false;
}

auto kind(errc cause) {
  return [cause](const Error& error) { return error.code() == cause; };
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tpm_crash, Node)

BOOST_AUTO_TEST_CASE(a_kek_in_the_tpm_is_made_whole_or_not_at_all) {
  fail_everywhere("create", [&](TpmKekStore& keys, int status) {
    const bool made = holds(keys, 3);
    BOOST_TEST((made || status != 0));
    BOOST_TEST(keys.kept().size() == (made ? 3U : 2U));
    if (made) BOOST_TEST(keys.group_keys(3, {group}).size() == 1U);
    if (made) BOOST_CHECK_EXCEPTION(keys.create(3), Error, kind(errc::already_exists));
  });
}

BOOST_FIXTURE_TEST_CASE(a_kek_that_arrives_from_another_tpm_is_stored_whole_or_not_at_all_and_may_arrive_again,
                        Arriving) {
  fail_everywhere("import", [&](TpmKekStore& keys, int status) {
    const bool there = holds(keys, 3);
    BOOST_TEST((there || status != 0));
    BOOST_TEST(keys.kept().size() == (there ? 3U : 2U));
    if (there) BOOST_TEST(opens(keys, 3, key_3));
    BOOST_TEST(opens(keys, 1, key_1));
    keys.import(transfer, {maker});
    BOOST_TEST(keys.prove(transfer.record, Digest{1}) == proof);
  });
}

BOOST_AUTO_TEST_CASE(a_destroyed_kek_of_the_tpm_is_whole_or_gone_and_the_second_try_ends_it) {
  fail_everywhere("destroy", [&](TpmKekStore& keys, int status) {
    const bool there = holds(keys, 1);
    BOOST_TEST((!there || status != 0));
    if (there) BOOST_TEST(opens(keys, 1, key_1));
    keys.destroy(1);
    BOOST_TEST(!holds(keys, 1));
    BOOST_CHECK_EXCEPTION(keys.create(1), Error, kind(errc::already_exists));
  });
}

BOOST_AUTO_TEST_CASE(approvals_of_the_tpm_are_the_old_or_the_new_ones) {
  fail_everywhere("adopt", [&](TpmKekStore& keys, int status) {
    const std::size_t states = KekFiles(prepared->used + "/keys").get_approvals().boot_states.size();
    BOOST_TEST((states == 1 || states == 2));
    BOOST_TEST((states == 2 || status != 0));
    BOOST_TEST(opens(keys, 1, key_1));
    keys.adopt(newer);
    BOOST_TEST(KekFiles(prepared->used + "/keys").get_approvals().boot_states.size() == 2U);
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::test
