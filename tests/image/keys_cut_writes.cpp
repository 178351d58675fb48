// Every write, fsync, rename and unlink of a KEK's life fails once (ENOSPC, EIO) and is once the last thing before a
// power cut: afterwards the old or the new state is there, never neither, and the other generations are untouched.
// FAILURES.md A: nixpkgs#210329, vault#23073, tikv#9886, nomad#27581.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "agent/keys/authority.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/failing_calls.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
namespace fs = std::filesystem;

namespace {

// A node with generations 1 and 2, copied afresh for every cut; generation 3 is on its way from another member.
struct Node {
  Node() {
    SoftwareKekStore sender(origin.path() / "sender"), store(origin.path() / "keys");
    const NodeIdentity identity = store.identity({authority.public_der(), cluster, id});
    approvals = approve_node(authority, {identity, id, 1, recovery.public_point(), {}, {}});
    newer = approve_node(authority, {identity, id, 2, recovery.public_point(), {}, {}});
    store.adopt(approvals);
    store.create(1);
    store.create(2);
    key_1 = std::move(store.group_keys(1, {group}).front());
    key_2 = std::move(store.group_keys(2, {group}).front());
    const Uuid sender_id = Uuid::random();
    const NodeIdentity sending = sender.identity({authority.public_der(), cluster, sender_id});
    sender.adopt(approve_node(authority, {sending, sender_id, 1, recovery.public_point(), {}, {}}));
    arriving = sender.duplicate_to(sender.create(3), {id, identity.storage_key, approvals.duplication_approvals});
    key_3 = std::move(sender.group_keys(3, {group}).front());
  }
  fs::path fresh() {
    const fs::path copy = origin.path() / ("copy-" + std::to_string(++copies));
    fs::copy(origin.path() / "keys", copy, fs::copy_options::recursive);
    return copy;
  }
  bool opens(SoftwareKekStore& store, Generation generation, const Secret& key) const {
    return equals(store.group_keys(generation, {group}).front(), key);
  }
  bool holds(SoftwareKekStore& store, Generation generation) const {
    for (const KekRecord& record : store.held()) {
      if (record.generation == generation) return true;
    }
    return false;
  }

  tests::TemporaryDirectory origin;
  Uuid cluster = Uuid::random(), id = Uuid::random(), group = Uuid::random();
  AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  Approvals approvals, newer;
  Secret key_1{0}, key_2{0}, key_3{0};
  KekTransfer arriving;
  int copies = 0;
};

using Action = std::function<void(SoftwareKekStore&)>;
using Check = std::function<void(SoftwareKekStore&)>;

// `check` sees a restarted store after each cut, then `finish` makes the action again and sees its whole effect.
int cut_everywhere(Node& node, const Action& action, const Check& check, const Check& finish) {
  int cuts = 0;
  for (const int error : {ENOSPC, EIO, 0}) {
    for (int n = 1;; ++n) {
      const fs::path directory = node.fresh();
      const auto act = [&] {
        SoftwareKekStore store(directory);
        action(store);
      };
      bool reached = false;
      try {
        reached = error != 0 ? tests::with_failing_call(n, error, act) : tests::with_crash_at_call(n, act);
      } catch (const Error& failure) {
        reached = true;
        BOOST_TEST((failure.code() == errno_code(error)), failure.what());
      }
      if (!reached) break;
      BOOST_TEST_CONTEXT("call " << n << ", errno " << error) {
        SoftwareKekStore store(directory);
        BOOST_TEST(node.opens(store, 2, node.key_2));
        check(store);
        finish(store);
        SoftwareKekStore again(directory);
        BOOST_TEST(node.opens(again, 2, node.key_2));
      }
      ++cuts;
      fs::remove_all(directory);
    }
  }
  return cuts;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(cut_writes, Node)

BOOST_AUTO_TEST_CASE(kek_is_made_whole_or_not_at_all) {
  const auto whole_or_absent = [&](SoftwareKekStore& store) {
    BOOST_TEST(opens(store, 1, key_1));
    if (holds(store, 3)) store.group_keys(3, {group});
    BOOST_TEST(store.held().size() == (holds(store, 3) ? 3U : 2U));
  };
  const auto next_number_works = [&](SoftwareKekStore& store) { BOOST_TEST(store.create(4).generation == 4U); };
  const int cuts = cut_everywhere(
      *this, [](SoftwareKekStore& store) { store.create(3); }, whole_or_absent, next_number_works);
  BOOST_TEST(cuts >= 30);  // three ways, two files, five calls each
}

BOOST_AUTO_TEST_CASE(kek_that_arrives_is_stored_whole_or_not_at_all_and_may_arrive_again) {
  const auto import = [&](SoftwareKekStore& store) { store.import(arriving, {}); };
  const auto whole_or_absent = [&](SoftwareKekStore& store) {
    BOOST_TEST(opens(store, 1, key_1));
    if (holds(store, 3)) BOOST_TEST(opens(store, 3, key_3));
    BOOST_TEST(store.kept().size() == (holds(store, 3) ? 3U : 2U));
  };
  const auto arrives_again = [&](SoftwareKekStore& store) {
    import(store);
    BOOST_TEST(opens(store, 3, key_3));
    BOOST_CHECK_NO_THROW(store.prove(arriving.record, Digest{1}));
  };
  BOOST_TEST(cut_everywhere(*this, import, whole_or_absent, arrives_again) >= 30);
}

BOOST_AUTO_TEST_CASE(destroyed_kek_is_whole_or_gone_and_the_second_try_ends_it) {
  const auto whole_or_gone = [&](SoftwareKekStore& store) {
    if (holds(store, 1)) BOOST_TEST(opens(store, 1, key_1));
  };
  const auto ends = [&](SoftwareKekStore& store) {
    store.destroy(1);
    BOOST_TEST(!holds(store, 1));
    BOOST_CHECK_EXCEPTION(store.create(1), Error, [](const Error& e) { return e.code() == errc::already_exists; });
  };
  const int cuts = cut_everywhere(
      *this, [](SoftwareKekStore& store) { store.destroy(1); }, whole_or_gone, ends);
  BOOST_TEST(cuts >= 60);
}

BOOST_AUTO_TEST_CASE(approvals_are_the_old_or_the_new_ones) {
  const auto old_or_new = [&](SoftwareKekStore& store) {
    const std::uint64_t epoch = store.files().get_approvals().trust_epoch;
    BOOST_TEST((epoch == 1 || epoch == 2));
  };
  const auto adopted = [&](SoftwareKekStore& store) {
    store.adopt(newer);
    BOOST_TEST(store.files().get_approvals().trust_epoch == 2U);
  };
  const int cuts = cut_everywhere(
      *this, [&](SoftwareKekStore& store) { store.adopt(newer); }, old_or_new, adopted);
  BOOST_TEST(cuts >= 30);
}

BOOST_AUTO_TEST_SUITE_END()
