// After use, no key is left anywhere in the process: DEK, group key, wrap key, KEK, node key, recovery key. The whole
// memory is searched, stacks and freed heap included; and the search is shown to find keys while they live.
#define BOOST_TEST_DYN_LINK
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <memory>

#include "agent/keys/box.hpp"
#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/node_key.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "agent/keys/symmetric.hpp"
#include "dmtarget/canonical.hpp"
#include "tests/support/memory_search.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

// A key's bytes as they lie in a Secret, and the other way round, as OpenSSL's numbers have them.
void add(std::vector<tests::Needle>& needles, const std::string& name, const Secret& secret) {
  needles.emplace_back(name, secret.view());
  Secret reversed = secret.clone();
  std::reverse(reversed.data(), reversed.data() + reversed.size());
  needles.emplace_back(name + " reversed", reversed.view());
}

void require_found(const std::vector<tests::Needle>& needles, std::size_t first) {
  BOOST_TEST(!needles.at(first).find_in_own_memory().empty());  // the search itself works
}

// Everything that the agent does with keys, once. Secrets end with their scopes here.
std::vector<tests::Needle> use_every_key(const std::filesystem::path& directory, const std::optional<Secret>& lock) {
  std::vector<tests::Needle> needles;
  const Uuid cluster = Uuid::random(), node = Uuid::random();
  const AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  const AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  add(needles, "recovery key", recovery.leak_scalar());
  add(needles, "authority key", authority.leak_scalar());

  SoftwareKekStore store(directory, lock ? std::optional(lock->clone()) : std::nullopt);
  const NodeIdentity identity = store.identity({authority.public_der(), cluster, node});
  store.adopt(approve_node(authority, {identity, node, 1, recovery.public_point(), {}, {}}));
  const KekRecord record = store.create(1);
  store.prove(record, Digest{});

  dm::Token token;
  token.cluster = cluster, token.group = Uuid::random(), token.volume = Uuid::random();
  token.name = "data1", token.generation = 1;
  const std::vector<Secret> groups = store.group_keys(1, {token.group});
  const Secret dek = Secret::random(volume_key_size);
  wrap(token, groups.front(), dek);
  BOOST_TEST(equals(unwrap(token, groups.front()), dek));
  const RecoveredKek recovered = RecoveredKek::open(store.duplicate_to_recovery(record), recovery, cluster);
  BOOST_TEST(equals(recovered.group_key(cluster, token.group), groups.front()));

  add(needles, "DEK", dek);
  add(needles, "group key", groups.front());
  add(needles, "wrap key",
      hkdf_sha256(
          groups.front(),
          Canonical("volcrypt dek wrap v1").add(token.cluster).add(token.volume).add(token.generation).bytes()));
  const auto node_key = open_node_key(store.files().file("node-key"), lock);
  BOOST_REQUIRE(node_key.has_value());
  add(needles, "node key", node_key->scalar);
  const Bytes context = Canonical("volcrypt software kek v1").add(cluster).add(node).add(std::uint64_t{1}).bytes();
  add(needles, "KEK", open_box(node_key->scalar, context, store.files().get(1).blob));
  require_found(needles, 4);
  return needles;
}

void require_gone(const std::vector<tests::Needle>& needles) {
  for (const tests::Needle& needle : needles) {
    for (const std::string& place : needle.find_in_own_memory()) BOOST_ERROR("left in memory: " + place);
  }
}

// Far into the block: its head becomes the allocator's when it is freed.
void leave_on_heap(const Secret& key) {
  const auto block = std::make_unique<Bytes>(256);
  std::ranges::copy(key.view(), block->begin() + 64);
}

// At the far end of a large frame, below what the search itself will use of the stack.
[[gnu::noinline]] void leave_on_stack(const Secret& key) {
  std::array<std::uint8_t, 32 * 1024> frame;
  std::ranges::copy(key.view(), frame.begin());
  asm volatile("" ::"r"(frame.data()) : "memory");  // it must be written
}

// So deep that the search itself does not write over what `use` leaves.
template <class Use>
[[gnu::noinline]] Secret use_far_below(const Use& use, const Secret& key) {
  std::array<std::uint8_t, 24 * 1024> frame;
  asm volatile("" ::"r"(frame.data()) : "memory");
  Secret result = use(key);
  asm volatile("" ::"r"(frame.data()) : "memory");
  return result;
}

// Where a key is left by one use of it. `use` gives back another secret that it handled.
template <class Use>
std::vector<std::string> left_by(Secret key, const Use& use) {
  std::vector<tests::Needle> needles;
  {
    const Secret used = std::move(key), other = use_far_below(use, used);
    add(needles, "its key", used);
    add(needles, "its other secret", other);
  }
  std::vector<std::string> places;
  for (const tests::Needle& needle : needles) {
    for (const std::string& place : needle.find_in_own_memory()) places.push_back(place);
  }
  return places;
}

void leave_in_openssl(const Secret& key) {
  auto* block = static_cast<std::uint8_t*>(OPENSSL_malloc(128));
  std::ranges::copy(key.view(), block + 64);
  block = static_cast<std::uint8_t*>(OPENSSL_realloc(block, 4096));
  OPENSSL_free(block);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wipe)

BOOST_AUTO_TEST_CASE(no_key_is_left_in_memory_after_wrap_unwrap_proof_and_recovery) {
  const tests::TemporaryDirectory directory;
  require_gone(use_every_key(directory.path(), std::nullopt));
}

BOOST_AUTO_TEST_CASE(no_key_is_left_in_memory_after_passphrases_were_used) {
  const tests::TemporaryDirectory directory;
  std::vector<tests::Needle> needles;
  {
    const Secret passphrase = Secret::random(40);
    needles = use_every_key(directory.path() / "node", passphrase.clone());
    add(needles, "passphrase", passphrase);
    const AdminKey key = AdminKey::generate(AdminKey::Purpose::recovery, Uuid::random());
    add(needles, "saved admin key", key.leak_scalar());
    key.save(directory.path() / "recovery.key", passphrase);
    BOOST_TEST(equals(AdminKey::open(directory.path() / "recovery.key", passphrase).leak_scalar(), key.leak_scalar()));
  }
  require_gone(needles);
}

// Later uses wipe what earlier ones left, so each is looked at by itself.
BOOST_AUTO_TEST_CASE(no_single_use_of_a_key_leaves_it_on_the_stack) {
  const Bytes message(100, 0x11);
  const GcmNonce nonce{};
  const auto new_key = [] { return Secret::random(key_size); };
  const auto nothing = [&](const char* name, Secret key, const auto& use) {
    for (const std::string& place : left_by(std::move(key), use)) BOOST_ERROR(name << " leaves " << place);
  };
  nothing("an HMAC", new_key(), [&](const Secret& key) { return hmac_sha256(key, message); });
  nothing("HKDF", new_key(), [&](const Secret& key) { return hkdf_sha256(key, message); });
  nothing("an encryption", new_key(), [&](const Secret& key) {
    Secret plaintext = new_key();
    gcm_seal(key, nonce, message, plaintext);
    return plaintext;
  });
  Secret sealing = new_key();
  const Bytes sealed = gcm_seal(sealing, nonce, message, new_key());
  nothing("a decryption", std::move(sealing), [&](const Secret& key) { return gcm_open(key, nonce, message, sealed); });
  nothing("the Name of a KEK", new_key(), [&](const Secret& key) {
    software_kek_name(Uuid::random(), 1, key);
    return key.clone();
  });
  const auto careless = [&](const Secret& key) {  // or the rest would show nothing
    leave_on_stack(key);
    return new_key();
  };
  BOOST_TEST(!left_by(new_key(), careless).empty());
}

// Shows that the tests above can fail.
BOOST_AUTO_TEST_CASE(a_key_left_in_a_freed_block_or_a_dead_frame_is_found) {
  std::vector<tests::Needle> needles;
  {
    const Secret on_heap = Secret::random(32), on_stack = Secret::random(32), nowhere = Secret::random(32);
    needles.emplace_back("heap", on_heap.view());
    needles.emplace_back("stack", on_stack.view());
    needles.emplace_back("nowhere", nowhere.view());
    leave_on_heap(on_heap);
    leave_on_stack(on_stack);
  }
  require_found(needles, 0);
  require_found(needles, 1);
  BOOST_TEST(needles[2].find_in_own_memory().empty());
}

BOOST_AUTO_TEST_CASE(either_half_of_a_key_is_found_and_in_the_order_of_a_number_too) {
  std::vector<tests::Needle> needles;
  std::array<std::uint8_t, 32> first{}, second{}, backwards{};
  {
    const Secret a = Secret::random(32), b = Secret::random(32), c = Secret::random(32);
    for (const Secret* key : {&a, &b, &c}) add(needles, "part", *key);
    std::ranges::copy(a.view().first(16), first.begin());
    std::ranges::copy(b.view().subspan(16), second.begin() + 16);
    std::ranges::reverse_copy(c.view(), backwards.begin());
    asm volatile("" ::"r"(first.data()), "r"(second.data()), "r"(backwards.data()) : "memory");  // must be written
  }
  for (const std::size_t found : {0, 2, 5}) require_found(needles, found);
  for (const std::size_t absent : {1, 3, 4}) BOOST_TEST(needles[absent].find_in_own_memory().empty());
}

// The memory is read in blocks: what lies across the border of two is found as well.
BOOST_AUTO_TEST_CASE(a_key_is_found_wherever_it_lies) {
  constexpr std::size_t piece = 16, copies = 20'000;  // over several blocks, each copy elsewhere in its own
  Bytes memory(copies * (piece + 1));
  const tests::Needle needle = [&memory] {
    const Secret key = Secret::random(piece);
    for (std::size_t i = 0; i < copies; ++i) std::ranges::copy(key.view(), memory.begin() + long(i * (piece + 1)));
    return tests::Needle("everywhere", key.view());
  }();
  BOOST_TEST(needle.find_in_own_memory().size() == copies);
}

BOOST_AUTO_TEST_CASE(what_openssl_moves_or_frees_is_wiped) {
  std::vector<tests::Needle> needles;
  {
    const Secret key = Secret::random(32);
    needles.emplace_back("freed by OpenSSL", key.view());
    leave_in_openssl(key);
    wipe_dead_stack();
  }
  require_gone(needles);
}

BOOST_AUTO_TEST_SUITE_END()
