// What members have of each other, against vectors of other code: approvals to receive KEKs, a KEK on its way, the
// question to a newcomer.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/authority.hpp"
#include "agent/keys/join_proof.hpp"
#include "agent/keys/kept_file.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

struct Members {
  const tests::Vectors v{"keys_members.json"};
  const Uuid cluster = Uuid::parse(v.text("cluster")), node = Uuid::parse(v.text("node"));
  const Uuid group = Uuid::parse(v.text("group"));

  // As node_key.hpp says that the file is.
  void put_node_key(const std::filesystem::path& directory) const {
    Bytes document(as_bytes("volcrypt node key 1 plain\n").begin(), as_bytes("volcrypt node key 1 plain\n").end());
    for (const char* part : {"storage_point", "storage_scalar"})
      for (const std::uint8_t byte : v.hex(part)) document.push_back(byte);
    std::filesystem::create_directories(directory);
    KeptFile(directory / "node-key").write(document);
  }
};

auto because(errc cause) {
  return [cause](const Error& error) { return error.code() == cause; };
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(members, Members)

BOOST_AUTO_TEST_CASE(approvals_to_receive_keks_hold_for_their_key_kind_epoch_and_cluster_only) {
  const std::uint64_t epoch = v.number("trust_epoch");
  Approvals ours;
  ours.authority_public = v.hex("authority_der");
  ours.cluster = cluster;
  const Peer software{node, v.hex("storage_point"), {{epoch, v.hex("software_approval")}}};
  const Peer tpm{node, v.hex("storage_area"), {{epoch, v.hex("tpm_approval")}}};
  BOOST_TEST(duplication_approval_of(software, ours, Protection::software, epoch).trust_epoch == epoch);
  BOOST_TEST(duplication_approval_of(tpm, ours, Protection::tpm, epoch).trust_epoch == epoch);
  BOOST_CHECK_EXCEPTION(duplication_approval_of(software, ours, Protection::software, epoch + 1), Error,
                        because(errc::bad_signature));
  const Peer swapped{node, v.hex("storage_area"), {{epoch, v.hex("software_approval")}}};
  BOOST_CHECK_EXCEPTION(duplication_approval_of(swapped, ours, Protection::tpm, epoch), Error,
                        because(errc::bad_signature));
  ours.cluster = node;
  BOOST_CHECK_EXCEPTION(duplication_approval_of(tpm, ours, Protection::tpm, epoch), Error,
                        because(errc::bad_signature));
}

BOOST_AUTO_TEST_CASE(a_software_kek_that_other_code_sent_is_taken_over_by_its_receiver_alone) {
  const tests::TemporaryDirectory directory;
  const AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  const AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  KekTransfer transfer;
  transfer.record = {v.number("generation"), Protection::software, v.hex("kek_name"), {}, {}, v.number("trust_epoch")};
  transfer.duplicate = v.hex("transfer");
  const auto receive = [&](const Uuid& as, const char* place) {
    put_node_key(directory.path() / place);
    SoftwareKekStore store(directory.path() / place);
    const NodeIdentity identity = store.identity({authority.public_der(), cluster, as});
    BOOST_TEST(identity.storage_key == v.hex("storage_point"));
    store.adopt(approve_node(authority, {identity, as, v.number("trust_epoch"), recovery.public_point(), {}, {}}));
    store.import(transfer, {});
    return std::move(store.group_keys(transfer.record.generation, {group}).front());
  };
  BOOST_TEST(equals(receive(node, "right"), Secret::copy_of(v.hex("group_key"))));
  BOOST_CHECK_EXCEPTION(receive(cluster, "other"), Error, because(errc::wrong_key));  // the same key as another node
  transfer.record.trust_epoch += 1;
  BOOST_CHECK_EXCEPTION(receive(node, "epoch"), Error, because(errc::wrong_key));
}

BOOST_AUTO_TEST_CASE(a_question_to_a_software_node_that_other_code_asked_is_answered) {
  JoinChallenge challenge;
  std::ranges::copy(v.hex("nonce"), challenge.nonce.begin());
  challenge.credential = v.hex("join_box");
  const Secret scalar = Secret::copy_of(v.hex("storage_scalar"));
  BOOST_TEST(equals(open_join_box(scalar, challenge), Secret::copy_of(v.hex("join_secret"))));
  challenge.nonce[0] ^= 1;
  BOOST_CHECK_EXCEPTION(open_join_box(scalar, challenge), Error, because(errc::wrong_key));
}

BOOST_AUTO_TEST_SUITE_END()
