// The software KEK store: the conformance suite with a plain and with a locked node key, and what only it has: its
// lock.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "agent/keys/authority.hpp"
#include "agent/keys/box.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/kek_conformance.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
namespace fs = std::filesystem;

namespace {

class SoftwareNode : public tests::KekNode {
 public:
  std::unique_ptr<KekStore> open() override { return std::make_unique<SoftwareKekStore>(directory()); }
  fs::path directory() const override { return directory_.path() / "software"; }

 private:
  tests::TemporaryDirectory directory_;
};

const tests::KekConformance added("software", [] { return std::make_unique<SoftwareNode>(); });

auto because(errc cause) {
  return [cause](const Error& e) { return e.code() == cause; };
}

std::optional<Secret> lock_of(std::string_view text) { return Secret::copy_of(as_bytes(text)); }

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A node with one KEK, under `lock`.
struct Node {
  tests::TemporaryDirectory directory;
  Uuid cluster = Uuid::random(), id = Uuid::random();
  AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  const Uuid group = Uuid::random();

  SoftwareKekStore store(std::optional<Secret> lock) { return SoftwareKekStore(directory.path(), std::move(lock)); }
  void enroll(std::optional<Secret> lock) {
    SoftwareKekStore fresh = store(std::move(lock));
    const NodeIdentity identity = fresh.identity({authority.public_der(), cluster, id});
    fresh.adopt(approve_node(authority, {identity, id, 1, recovery.public_point(), {}, {}}));
    fresh.create(1);
  }
  Secret key(std::optional<Secret> lock) { return std::move(store(std::move(lock)).group_keys(1, {group}).front()); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(software_store)

BOOST_AUTO_TEST_CASE(locked_node_key_opens_under_its_lock_only) {
  Node node;
  node.enroll(lock_of("lock with a newline\n"));
  const Secret key = node.key(lock_of("lock with a newline\n"));
  BOOST_TEST(equals(node.key(lock_of("lock with a newline\n")), key));
  BOOST_CHECK_EXCEPTION(node.key(lock_of("lock with a newline")), Error, because(errc::wrong_passphrase));
  BOOST_CHECK_EXCEPTION(node.key(std::nullopt), Error, because(errc::wrong_passphrase));
}

// Its sender may be a member and lie: a box proves nothing of what is in it.
BOOST_AUTO_TEST_CASE(another_key_under_the_name_of_a_kek_is_an_impostor) {
  Node node;
  node.enroll(std::nullopt);
  SoftwareKekStore store = node.store(std::nullopt);
  const NodeIdentity identity = store.identity({node.authority.public_der(), node.cluster, node.id});
  const Secret true_key = Secret::random(32);
  KekTransfer transfer;
  transfer.record = {2, Protection::software, software_kek_name(node.cluster, 2, true_key), {}, {}, 1};
  const Bytes context = Canonical("volcrypt software kek transfer v1")
                            .add(node.cluster)
                            .add(node.id)
                            .add(transfer.record.generation)
                            .add(transfer.record.trust_epoch)
                            .add(transfer.record.name)
                            .bytes();
  for (const std::size_t size : {32U, 31U, 64U, 1U}) {
    transfer.duplicate = seal_box(identity.storage_key, context, Secret::random(size));
    BOOST_CHECK_EXCEPTION(store.import(transfer, {}), Error, because(errc::impostor_kek));
  }
  BOOST_TEST(store.kept().size() == 1U);
  transfer.duplicate = seal_box(identity.storage_key, context, true_key);
  store.import(transfer, {});
  BOOST_TEST(store.held().size() == 2U);
}

BOOST_AUTO_TEST_CASE(plain_node_key_is_put_under_a_lock_when_one_is_given) {
  Node node;
  node.enroll(std::nullopt);
  const Secret key = node.key(std::nullopt);
  BOOST_TEST(content(node.directory.path() / "node-key").find(" plain\n") != std::string::npos);
  BOOST_TEST(equals(node.key(lock_of("lock")), key));
  for (const char* file : {"node-key", "node-key.copy"}) {
    BOOST_TEST(content(node.directory.path() / file).find(" sealed\n") != std::string::npos);
  }
  BOOST_CHECK_EXCEPTION(node.key(std::nullopt), Error, because(errc::wrong_passphrase));
  BOOST_TEST(equals(node.key(lock_of("lock")), key));
}

BOOST_AUTO_TEST_CASE(files_are_readable_by_their_owner_only) {
  Node node;
  node.enroll(std::nullopt);
  for (const auto& entry : fs::directory_iterator(node.directory.path())) {
    BOOST_TEST((entry.status().permissions() == (fs::perms::owner_read | fs::perms::owner_write)));
  }
}

BOOST_AUTO_TEST_CASE(missing_or_foreign_node_key_is_told_and_nothing_is_made_anew) {
  Node node, other;
  node.enroll(std::nullopt);
  other.enroll(std::nullopt);
  const fs::path file = node.directory.path() / "node-key", copy = node.directory.path() / "node-key.copy";
  const std::string own = content(file);
  fs::copy_file(other.directory.path() / "node-key", file, fs::copy_options::overwrite_existing);
  fs::remove(copy);
  BOOST_CHECK_EXCEPTION(node.key(std::nullopt), Error, because(errc::impostor_kek));
  fs::remove(file);
  BOOST_CHECK_EXCEPTION(node.key(std::nullopt), Error, because(errc::store_damaged));
  BOOST_TEST(!fs::exists(file));
  std::ofstream(file, std::ios::binary) << own;
  node.key(std::nullopt);
}

BOOST_AUTO_TEST_CASE(credential_is_read_from_the_directory_that_systemd_names) {
  tests::TemporaryDirectory directory;
  unsetenv("CREDENTIALS_DIRECTORY");
  BOOST_TEST(!node_key_credential().has_value());
  setenv("CREDENTIALS_DIRECTORY", directory.path().c_str(), 1);
  BOOST_TEST(!node_key_credential().has_value());
  std::ofstream(directory.path() / "volcrypt-node-key", std::ios::binary) << std::string("a\n\0b", 4);
  const auto credential = node_key_credential();
  unsetenv("CREDENTIALS_DIRECTORY");
  BOOST_REQUIRE(credential.has_value());
  BOOST_TEST(equals(*credential, Secret::copy_of(as_bytes(std::string_view("a\n\0b", 4)))));
}

BOOST_AUTO_TEST_SUITE_END()
