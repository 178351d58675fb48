// Ten thousand DEKs unwrapped on one TPM, and beside another user of it: nothing is left in its slots, nothing grows.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/canonical.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::StoreFixture;

namespace {

constexpr UINT32 slots = 3;  // of objects

// What of a TPM's slots is taken. The last two are the TPM's own counts: sessions loaded, and object slots free.
struct Counts {
  std::size_t transient, sessions, saved, persistent;
  UINT32 loaded_sessions, free_slots;
  bool operator==(const Counts&) const = default;
};

UINT32 property(ESYS_CONTEXT* esys, TPM2_PT which) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  TPMI_YES_NO more = TPM2_NO;
  tpm::check(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, which, 1,
                                &more, &raw),
             "TPM2_GetCapability", "a property");
  const tpm::Returned<TPMS_CAPABILITY_DATA> data(raw);
  const auto& found = data->data.tpmProperties;
  BOOST_REQUIRE((found.count == 1 && found.tpmProperty[0].property == which));
  return found.tpmProperty[0].value;
}

Counts counts(const StoreFixture& node) {
  const tpm::TpmContext context(node.swtpm.tcti());
  return {tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).size(),
          tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).size(),
          tpm::handles_of(context.esys(), TPM2_ACTIVE_SESSION_FIRST).size(),
          tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST).size(),
          property(context.esys(), TPM2_PT_HR_LOADED),
          property(context.esys(), TPM2_PT_HR_TRANSIENT_AVAIL)};
}

std::size_t resident_pages() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident;
}

void must_not_have_grown([[maybe_unused]] std::size_t pages) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their own memory grows meanwhile
  BOOST_TEST(resident_pages() < pages + 512U);                       // 2 MiB
#endif
}

// A volume as its drive carries it, and what its DEK must be.
struct Volume {
  dm::Token token;
  Digest dek;
};

// 64 volumes in each of 160 groups under generation 1, and one more in each under generation 2.
struct ManyVolumes : StoreFixture {
  static constexpr std::size_t groups_made = 160, batch = 16, per_group = 64;

  ManyVolumes() {
    for (const Generation generation : {1, 2}) store->create(generation);
    for (Uuid& group : groups) group = Uuid::random();
    for (const Generation generation : {1, 2}) {
      const std::vector<Secret> keys = store->group_keys(generation, groups);
      for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::size_t count = generation == 1 ? per_group : 1;
        for (std::size_t i = 0; i < count; ++i) volumes[generation - 1].push_back(make(generation, groups[g], keys[g]));
      }
    }
    store->lock();
  }
  Volume make(Generation generation, const Uuid& group, const Secret& key) const {
    Volume volume;
    volume.token.cluster = administrator.cluster;
    volume.token.group = group;
    volume.token.volume = Uuid::random();
    volume.token.name = "data";
    volume.token.generation = generation;
    const Secret dek = Secret::random(64);
    volume.dek = sha256(dek.view());
    wrap(volume.token, key, dek);
    return volume;
  }
  static void must_open(const Volume& volume, const Secret& key) {
    BOOST_REQUIRE((sha256(unwrap(volume.token, key).view()) == volume.dek));
  }

  std::vector<Uuid> groups = std::vector<Uuid>(groups_made);
  std::vector<Volume> volumes[2];
};

}  // namespace

// keylime#656, clevis#98: a leaked session or object breaks the TPM much later.
BOOST_FIXTURE_TEST_CASE(ten_thousand_volumes_open_in_batches_and_the_tpm_stays_as_it_was, ManyVolumes) {
  const Counts empty = counts(*this);
  BOOST_TEST((empty == Counts{0, 0, 0, 1, 0, slots}));
  Counts busy = empty;
  std::size_t unwraps = 0, pages = 0;
  for (std::size_t first = 0; first < groups.size(); first += batch) {
    const std::vector<Uuid> some(groups.begin() + static_cast<std::ptrdiff_t>(first),
                                 groups.begin() + static_cast<std::ptrdiff_t>(first + batch));
    const std::vector<Secret> keys = store->group_keys(1, some);
    for (std::size_t g = 0; g < batch; ++g) {
      for (std::size_t i = 0; i < per_group; ++i, ++unwraps)
        must_open(volumes[0][(first + g) * per_group + i], keys[g]);
    }
    if (first == 0) busy = counts(*this);
    BOOST_REQUIRE((counts(*this) == busy));
    if (first == batch) pages = resident_pages();  // by then every cache has its size
    if (first % (2 * batch) == batch) {            // flushed now and then, and loaded afresh
      store->lock();
      BOOST_REQUIRE((counts(*this) == empty));
    }
  }
  BOOST_TEST(unwraps == 10'240U);
  BOOST_TEST((busy == Counts{1, 0, 0, 1, 0, slots - 1}));
  must_not_have_grown(pages);
}

// As in a rotation: one volume at a time, under the old generation and the new one by turns, so that each call flushes
// one KEK and loads the other.
BOOST_FIXTURE_TEST_CASE(three_thousand_volumes_open_one_by_one_under_two_generations_by_turns, ManyVolumes) {
  Counts busy{};
  std::size_t pages = 0;
  for (std::size_t i = 0; i < 3'000; ++i) {
    const std::vector<Volume>& all = volumes[i % 2];
    const Volume& volume = all[(i / 2) % all.size()];
    must_open(volume, store->group_keys(volume.token.generation, {volume.token.group}).front());
    if (i == 1) busy = counts(*this);
    if (i % 100 == 1) BOOST_REQUIRE((counts(*this) == busy));
    if (i == 500) pages = resident_pages();
  }
  BOOST_TEST((busy == Counts{1, 0, 0, 1, 0, slots - 1}));
  must_not_have_grown(pages);
  store->lock();
  BOOST_TEST((counts(*this) == Counts{0, 0, 0, 1, 0, slots}));
}

BOOST_AUTO_TEST_CASE(another_user_of_the_tpm_and_the_store_do_not_disturb_each_other) {
  StoreFixture node;
  node.store->create(1);
  const Uuid group = Uuid::random();
  const Secret key = std::move(node.store->group_keys(1, {group}).front());
  const tpm::TpmContext other(node.swtpm.tcti());
  const tpm::Primary object =
      tpm::make_storage_primary(other.esys(), tpm::StorageAlgorithm::ecc_p256, test::Administrator().storage_policy());
  for (int round = 0; round < 20; ++round) {
    BOOST_TEST(equals(node.store->group_keys(1, {group}).front(), key));
    const TSS2_RC alive = Esys_ReadPublic(other.esys(), object.object.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                          nullptr, nullptr, nullptr);
    BOOST_TEST(alive == TSS2_RC_SUCCESS);
    if (round % 5 == 4) node.store->lock();
  }
}
