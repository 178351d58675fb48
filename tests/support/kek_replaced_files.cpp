// The part of the KekStore conformance suite where a node's files are damaged, cut, or replaced by those of another
// KEK.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/kek_cluster.hpp"

namespace volcrypt::tests {

namespace fs = std::filesystem;

void record_with_another_name_is_an_impostor(const KekNodeMaker& maker) {
  Adopted c(maker);
  KekRecord record = c.store->create(1);
  record.name = c.store->create(2).name;
  BOOST_CHECK_EXCEPTION(c.store->prove(record, Digest{}), Error, because(errc::impostor_kek));
  BOOST_CHECK_EXCEPTION(c.store->duplicate_to_recovery(record), Error, because(errc::impostor_kek));
}

void blob_cut_or_changed_at_any_byte_is_refused_and_breaks_nothing_else(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  c.store->create(2);
  const Uuid group = Uuid::random();
  const Secret first = c.group_key(1, group), second = c.group_key(2, group);
  const Bytes good = KekFiles(c.node->directory()).get(1).blob;
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x01;
    c.put_blob(1, bad);
    BOOST_CHECK_THROW(c.group_key(1, group), Error);
    if (at % 8 == 0) {
      c.put_blob(1, Bytes(good.begin(), good.begin() + std::ptrdiff_t(at)));
      BOOST_CHECK_THROW(c.group_key(1, group), Error);
    }
    if (at % 32 == 0) BOOST_TEST(equals(c.group_key(2, group), second));
  }
  c.put_blob(1, good);
  BOOST_TEST(equals(c.group_key(1, group), first));
  BOOST_TEST(equals(c.group_key(2, group), second));
}

void blob_of_another_generation_under_this_number_is_refused(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  c.store->create(2);
  c.put_blob(1, KekFiles(c.node->directory()).get(2).blob);
  BOOST_CHECK_EXCEPTION(c.group_key(1, Uuid::random()), Error, because(errc::impostor_kek));
  c.group_key(2, Uuid::random());
}

// Blob and record replaced together, consistently: only the cluster's record tells.
void generation_whose_proof_found_an_impostor_is_refused_until_a_proof_succeeds(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord first = c.store->create(1), second = c.store->create(2);
  const Uuid group = Uuid::random();
  const Secret key = c.group_key(1, group), other = c.group_key(2, group);
  const StoredKek good = KekFiles(c.node->directory()).get(1);
  StoredKek impostor = KekFiles(c.node->directory()).get(2);
  impostor.record.generation = 1;
  c.put(impostor);
  BOOST_CHECK_EXCEPTION(c.store->prove(first, Digest{}), Error, because(errc::impostor_kek));
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::impostor_kek));
  BOOST_TEST(equals(c.group_key(2, group), other));
  c.store->prove(second, Digest{});
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::impostor_kek));
  c.put(good);
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::impostor_kek));
  c.store->prove(first, Digest{});
  BOOST_TEST(equals(c.group_key(1, group), key));
}

void one_damaged_file_changes_nothing_and_two_are_told(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  c.store->create(2);
  const Uuid group = Uuid::random();
  const Secret key = c.group_key(1, group);
  const fs::path file = c.node->directory() / "kek-1";
  const auto damage = [&](const fs::path& victim) {
    c.store->lock();
    std::fstream io(victim, std::ios::in | std::ios::out | std::ios::binary);
    io.seekp(150);
    io.put('\n');
  };
  damage(file);
  BOOST_TEST(equals(c.group_key(1, group), key));
  damage(fs::path(file) += ".copy");
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::store_damaged));
  c.reopen();
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::store_damaged));
  BOOST_CHECK_EXCEPTION(c.store->create(1), Error, because(errc::already_exists));
  BOOST_TEST(c.store->held().size() == 1U);
  c.group_key(2, group);
}

void proved_group_keys_are_those_of_the_recorded_kek_alone(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord first = c.store->create(1), second = c.store->create(2);
  const Uuid group = Uuid::random(), other = Uuid::random();
  const Secret key = c.group_key(1, group);
  const std::vector<Secret> proved = c.store->proved_group_keys(first, {other, group});
  BOOST_REQUIRE_EQUAL(proved.size(), 2U);
  BOOST_TEST(equals(proved[1], key));
  BOOST_TEST(!equals(proved[0], key));
  KekRecord missing = first;
  missing.generation = 3;
  BOOST_CHECK_EXCEPTION(c.store->proved_group_keys(missing, {group}), Error, because(errc::wrong_generation));

  StoredKek impostor = KekFiles(c.node->directory()).get(2);
  impostor.record.generation = 1;
  c.put(impostor);
  try {
    c.group_key(1, group);  // as for unwrapping; where it stays loaded, it must not be taken for the recorded one
  } catch (const Error& error) {
    BOOST_TEST((error.code() == errc::impostor_kek));  // a software KEK is bound to its number
  }
  BOOST_CHECK_EXCEPTION(c.store->proved_group_keys(first, {group}), Error, because(errc::impostor_kek));
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::impostor_kek));
}

}  // namespace volcrypt::tests
