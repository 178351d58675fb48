// The store's documents: exact spelling, round trips, and what the parsers refuse.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/kek_upkeep.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/state.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

namespace {

const std::string uuid_a = "11111111-1111-4111-8111-111111111111";
const std::string uuid_b = "22222222-2222-4222-8222-222222222222";

const std::string distributing =
    R"({"version":1,"state":"Enabled","feature_flag":true,"protection":"tpm","current":"3","previous":["1"],)"
    R"("retiring":["2"],"rotation":"DistributingKEK","distributing":"5","highest_used":"5","proved":[")" +
    uuid_a + R"("],"rewrapped":[]})";

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

bool refused(const std::string& text, errc cause = errc::store_damaged) {
  try {
    parse_encryption_state(text);
  } catch (const Error& error) {
    BOOST_TEST((error.code() == cause), error.what());
    return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_encryption_state_has_exactly_this_spelling) {
  BOOST_TEST(to_json(EncryptionState{}) ==
             R"({"version":1,"state":"Disabled","feature_flag":false,"current":"0","previous":[],"retiring":[],)"
             R"("rotation":"NoRotation","distributing":"0","highest_used":"0","proved":[],"rewrapped":[]})");
  const auto state = parse_encryption_state(distributing);
  BOOST_TEST(state.current == 3u);
  BOOST_TEST((state.previous == std::set<Generation>{1}));
  BOOST_TEST((state.proved == std::set<Uuid>{Uuid::parse(uuid_a)}));
  BOOST_TEST(to_json(state) == distributing);
}

BOOST_AUTO_TEST_CASE(the_vendors_spelling_of_encrypting_is_read_and_ours_is_written) {
  const auto ours =
      changed(changed(changed(distributing, "DistributingKEK", "EncryptingDEKs"), R"("distributing":"5")",
                      R"("distributing":"0")"),
              R"("proved":[")" + uuid_a + R"("],"rewrapped":[])", R"("proved":[],"rewrapped":[")" + uuid_a + R"("])");
  const auto vendors = changed(ours, "EncryptingDEKs", "EncryptyingDEKs");
  BOOST_TEST(to_json(parse_encryption_state(vendors)) == ours);
}

BOOST_AUTO_TEST_CASE(an_encryption_state_that_is_not_exactly_ours_is_refused) {
  BOOST_TEST(!refused(distributing));
  BOOST_TEST(refused(""));
  BOOST_TEST(refused("[]"));
  BOOST_TEST(refused(distributing + "x"));
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":3)")));
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":"03")")));
  BOOST_TEST(refused(changed(distributing, R"("current":"3",)", "")));
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":"3","current":"3")")));
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":"3","unknown":1)")));
  BOOST_TEST(refused(changed(distributing, "Enabled", "enabled")));
  BOOST_TEST(refused(changed(distributing, "DistributingKEK", "Distributing")));
  BOOST_TEST(refused(changed(distributing, R"("protection":"tpm")", R"("protection":"none")")));
  BOOST_TEST(refused(changed(distributing, R"(["1"])", R"([1])")));
  BOOST_TEST(refused(changed(distributing, R"(["1"])", R"(["1","1"])")));
  BOOST_TEST(refused(changed(distributing, R"(["1"])", R"(["0"])")));
  BOOST_TEST(refused(changed(distributing, uuid_a + R"("])", uuid_b + R"(",")" + uuid_a + R"("])")));
  BOOST_TEST(refused(changed(distributing, R"("version":1)", R"("version":2)"), errc::token_version));
}

BOOST_AUTO_TEST_CASE(an_encryption_state_that_contradicts_itself_is_refused) {
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":"0")")));
  BOOST_TEST(refused(changed(distributing, R"("current":"3")", R"("current":"6")")));
  BOOST_TEST(refused(changed(distributing, R"(["1"])", R"(["1","2"])")));  // previous and retiring
  BOOST_TEST(refused(changed(distributing, R"(["2"])", R"(["2","3"])")));  // current and retiring
  BOOST_TEST(refused(changed(distributing, R"(["1"])", R"(["1","4"])")));  // previous above current
  BOOST_TEST(refused(changed(distributing, R"("distributing":"5")", R"("distributing":"4")")));
  BOOST_TEST(refused(changed(distributing, R"("distributing":"5")", R"("distributing":"0")")));
  BOOST_TEST(refused(changed(distributing, R"("highest_used":"5")", R"("highest_used":"4")")));
  BOOST_TEST(refused(changed(distributing, "DistributingKEK", "NoRotation")));
  BOOST_TEST(refused(changed(distributing, R"("protection":"tpm",)", "")));
}

BOOST_AUTO_TEST_CASE(a_volume_record_comes_back_as_it_was) {
  VolumeRecord record;
  record.volume = Uuid::parse(uuid_a);
  record.group = Uuid::parse(uuid_b);
  record.owner = Uuid::parse(uuid_a);
  record.name = "data1";
  record.generation = 18446744073709551615u;
  record.device_hint = "/dev/disk/by-id/\"odd\"";
  record.bytes = 1ull << 40;
  const auto text = to_json(record);
  const auto back = parse_volume_record(text);
  BOOST_TEST(to_json(back) == text);
  BOOST_TEST(back.device_hint == record.device_hint);
  BOOST_TEST(back.generation == record.generation);
  BOOST_TEST(!back.present.has_value());
  BOOST_CHECK_THROW(parse_volume_record(changed(text, "data1", "../data1")), Error);
  BOOST_CHECK_THROW(parse_volume_record(changed(text, R"("generation":"18446744073709551615")", R"("generation":"0")")),
                    Error);
}

BOOST_AUTO_TEST_CASE(a_generations_record_and_a_recovery_blob_come_back_as_they_were) {
  keys::KekRecord record;
  record.generation = 7;
  record.protection = keys::Protection::software;
  record.name = Bytes(34, 0xab);
  record.birth = {1, 2, 3};
  record.trust_epoch = 2;
  const auto back = parse_kek_record(to_json(record));
  BOOST_TEST(to_json(back) == to_json(record));
  BOOST_TEST((back.name == record.name));
  BOOST_CHECK_THROW(parse_kek_record(changed(to_json(record), "AQID", "AQI")), Error);

  keys::RecoveryBlob blob;
  blob.generation = 7;
  blob.name = record.name;
  blob.duplicate = Bytes(100, 1);
  blob.public_area = {4};
  blob.seed = {5};
  blob.inner_key = {6};
  const auto blob_back = parse_recovery_blob(to_json(blob));
  BOOST_TEST(to_json(blob_back) == to_json(blob));
  BOOST_TEST((blob_back.duplicate == blob.duplicate));
  BOOST_CHECK_THROW(parse_recovery_blob(changed(to_json(blob), R"("seed")", R"("sead")")), Error);
}

BOOST_AUTO_TEST_CASE(the_stores_keys_are_formed_in_one_place) {
  BOOST_TEST(store_key::generation(12) == "generation/12");
  BOOST_TEST(store_key::recovery(12) == "recovery/12");
  BOOST_TEST(store_key::volume("data1") == "volume/data1");
  BOOST_TEST(store_key::header(Uuid::parse(uuid_a)) == "header/" + uuid_a);
}

BOOST_AUTO_TEST_CASE(a_node_that_was_away_lacks_what_is_in_use_and_lets_go_what_is_not) {
  using Numbers = std::set<Generation>;
  EncryptionState state;
  state.feature_flag = true;
  state.phase = EncryptionPhase::Enabled;
  state.protection = keys::Protection::software;
  state.current = 5;
  state.previous = {2};
  state.retiring = {3};
  state.distributing = 7;
  state.highest_used = 7;
  BOOST_TEST((missing_keks(state, {1, 2}) == Numbers{5}));
  BOOST_TEST((missing_keks(state, {2, 5}).empty()));
  BOOST_TEST((stray_keks(state, {1, 2, 3, 4, 5, 6, 7}) == Numbers{1, 4, 6}));
  BOOST_TEST((stray_keks(state, {1, 5, 8}) == Numbers{1}));  // 8: an old copy of the store speaks
  BOOST_TEST(!stray_keks(state, {1, 2}));                    // what is current is not here yet
  state.phase = EncryptionPhase::Enabling;
  BOOST_TEST(!stray_keks(state, {1, 5}));
}
