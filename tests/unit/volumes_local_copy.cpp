// The local copy of the catalogue: what was written is read back, anything else is refused.
#include <boost/test/unit_test.hpp>

#include "agent/volumes/catalogue.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace {

cluster::VolumeRecord record(const std::string& name) {
  cluster::VolumeRecord known;
  known.volume = Uuid::random();
  known.group = Uuid::random();
  known.owner = Uuid::random();
  known.name = name;
  known.generation = 7;
  known.device_hint = "/dev/vdb";
  known.bytes = 1ULL << 40;
  return known;
}

Snapshot sample() {
  Snapshot snapshot;
  snapshot.volumes = {record("data1"), record("data2")};
  snapshot.intents = {{Intention::create, record("new")}, {Intention::erase, snapshot.volumes[0]}};
  snapshot.erased = {Uuid::random(), Uuid::random()};
  return snapshot;
}

bool is_damage(const Error& error) {
  return error.code() == errc::store_damaged || error.code() == errc::invalid_argument ||
         error.code() == errc::token_version;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_local_copy)

BOOST_AUTO_TEST_CASE(a_copy_is_read_back_as_it_was_and_says_that_it_is_a_copy) {
  const Snapshot before = sample();
  const Snapshot after = parse_local_copy(to_local_copy(before));
  BOOST_TEST((after.freshness == Freshness::last_known));
  BOOST_TEST(after.volumes.size() == 2U);
  BOOST_TEST(cluster::to_json(after.volumes[1]) == cluster::to_json(before.volumes[1]));
  BOOST_TEST(after.intents.size() == 2U);
  BOOST_TEST(to_json(after.intents[1]) == to_json(before.intents[1]));
  BOOST_TEST((after.erased == before.erased));
  BOOST_TEST(after.named("data2") != nullptr);
  BOOST_TEST(after.of(before.volumes[0].volume) != nullptr);
  BOOST_TEST(after.intent_named("new") != nullptr);
  BOOST_TEST(after.named("new") == nullptr);
}

BOOST_AUTO_TEST_CASE(an_empty_catalogue_has_a_copy_too) {
  BOOST_TEST(parse_local_copy(to_local_copy({})).volumes.empty());
}

BOOST_AUTO_TEST_CASE(a_copy_cut_short_at_any_byte_is_refused) {
  const std::string whole = to_local_copy(sample());
  for (std::size_t length = 0; length < whole.size(); ++length)
    BOOST_CHECK_EXCEPTION(parse_local_copy(whole.substr(0, length)), Error, is_damage);
}

BOOST_AUTO_TEST_CASE(a_copy_with_any_byte_changed_is_refused) {
  const std::string whole = to_local_copy(sample());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x01);
    BOOST_CHECK_EXCEPTION(parse_local_copy(changed), Error, is_damage);
  }
}

BOOST_AUTO_TEST_CASE(an_intent_to_erase_keeps_which_drive_it_began_on) {
  const std::string drive = "0x5000c500a1b2c3d4:ST4000_ZZ01@2048";
  const Intent intent = parse_intent(to_json(Intent{Intention::erase, record("data1"), drive}));
  BOOST_TEST((intent.verb == Intention::erase));
  BOOST_TEST(intent.drive == drive);
  BOOST_TEST(intent.record.name == "data1");
  BOOST_TEST(parse_intent(to_json(Intent{Intention::erase, record("data1")})).drive.empty());
  BOOST_CHECK_EXCEPTION(parse_intent("erase " + drive), Error, is_damage);
}

BOOST_AUTO_TEST_CASE(an_intent_without_a_verb_is_refused) {
  BOOST_CHECK_EXCEPTION(parse_intent(cluster::to_json(record("data1"))), Error, is_damage);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
