// The rotation machine: its arrows one by one. Random histories are in cluster_rotation_histories.cpp.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/rotation.hpp"
#include "tests/support/rotating_cluster.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

BOOST_AUTO_TEST_CASE(enabling_needs_the_feature_flag) {
  Cluster c;
  BOOST_TEST(c.refuses(event::Enable{keys::Protection::tpm}));
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::software});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabling));
  BOOST_TEST((c.state.protection == keys::Protection::software));
  BOOST_TEST(asks(c.actions, action::CreateKek{1}));
}

BOOST_AUTO_TEST_CASE(enabling_ends_when_the_last_member_has_proved) {
  Cluster c(3);
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::Created{1});
  BOOST_TEST(c.actions.size() == 3u);
  auto member = c.members.begin();
  c.feed(event::Proved{*member++, 1}).feed(event::Proved{*member++, 1});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabling));
  BOOST_TEST(c.state.current == 0u);
  c.feed(event::Proved{*member, 1});
  BOOST_TEST((c.state.phase == EncryptionPhase::Enabled));
  BOOST_TEST(c.state.current == 1u);
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
}

BOOST_AUTO_TEST_CASE(one_member_proving_many_times_is_one_proof) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{});
  for (int i = 0; i < 5; ++i) c.feed(event::Proved{*c.members.begin(), 2});
  BOOST_TEST(c.state.current == 1u);
}

BOOST_AUTO_TEST_CASE(a_proof_of_a_stranger_or_of_another_number_does_not_count) {
  Cluster c(1);
  c.enabled().feed(event::Rotate{});
  const auto before = c.state;
  c.feed(event::Proved{Uuid::random(), 2})
      .feed(event::Proved{*c.members.begin(), 1})
      .feed(event::Proved{*c.members.begin(), 3});
  BOOST_TEST((c.state == before));
}

BOOST_AUTO_TEST_CASE(a_rotation_goes_through_its_three_states) {
  Cluster c;
  c.enabled().feed(event::Rotate{});
  BOOST_TEST((c.state.rotation == RotationPhase::DistributingKEK));
  BOOST_TEST(asks(c.actions, action::CreateKek{2}));
  c.feed(event::Created{2}).all_prove();
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(c.actions.size() == 3u);
  c.all_rewrap();
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
  c.census({2});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST(c.state.previous.empty());
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
  c.feed(event::Retired{1, c.members});
  BOOST_TEST(c.state.retiring.empty());
}

BOOST_AUTO_TEST_CASE(an_absent_drive_keeps_its_generation_previous_until_it_was_rewrapped) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({1, 2});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(c.actions.empty());
  c.feed(event::Rotate{}).all_prove().all_rewrap().census({1, 3});  // the next rotation is not held up
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST((c.state.retiring == std::set<Generation>{2}));
  c.feed(event::Retired{2, c.members}).census({3});
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
}

BOOST_AUTO_TEST_CASE(a_census_that_lacks_a_member_retires_nothing) {
  Cluster c(3);
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap();
  event::CensusTaken census;
  census.needed[*c.members.begin()] = {2};
  c.feed(census);
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
  BOOST_TEST(c.state.retiring.empty());
  BOOST_TEST(c.actions.empty());
}

BOOST_AUTO_TEST_CASE(a_census_counts_what_a_member_needed_that_was_removed_since) {
  Cluster c(3);
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap();
  event::CensusTaken census;
  for (const auto& member : c.members) census.needed[member] = {2};
  census.needed[*c.members.begin()].insert(1);
  c.members.erase(c.members.begin());
  c.feed(census);
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(c.state.retiring.empty());
}

BOOST_AUTO_TEST_CASE(a_census_before_every_member_has_rewrapped_does_not_end_the_rotation) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{}).all_prove().feed(event::Rewrapped{*c.members.begin(), 2}).census({2});
  BOOST_TEST((c.state.rotation == RotationPhase::EncryptingDEKs));
}

BOOST_AUTO_TEST_CASE(a_generation_leaves_the_state_only_when_every_member_destroyed_it) {
  Cluster c(2);
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({2});
  c.feed(event::Retired{1, {*c.members.begin()}});
  BOOST_TEST((c.state.retiring == std::set<Generation>{1}));
  c.feed(event::Retired{1, c.members});
  BOOST_TEST(c.state.retiring.empty());
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_burns_the_number_and_starts_a_higher_one) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).feed(event::Created{2}).feed(event::Proved{*c.members.begin(), 2});
  c.feed(event::CoordinatorStarted{});
  BOOST_TEST(c.state.distributing == 3u);
  BOOST_TEST(c.state.proved.empty());
  BOOST_TEST((c.state.retiring == std::set<Generation>{2}));
  BOOST_TEST(asks(c.actions, action::CreateKek{3}));
  c.feed(event::Created{3}).all_prove().all_rewrap().census({3});
  BOOST_TEST(asks(c.actions, action::RetireKek{1}));
  BOOST_TEST(asks(c.actions, action::RetireKek{2}));  // the gap is cleaned up, too
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_while_enabling_burns_number_one) {
  Cluster c;
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::CoordinatorStarted{}).all_prove();
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
}

BOOST_AUTO_TEST_CASE(a_lost_coordinator_while_encrypting_goes_on_with_those_that_are_not_done) {
  Cluster c(3);
  c.enabled().feed(event::Rotate{}).all_prove().feed(event::Rewrapped{*c.members.begin(), 2});
  c.feed(event::CoordinatorStarted{});
  BOOST_TEST(c.state.current == 2u);
  BOOST_TEST(c.actions.size() == 2u);
  c.all_rewrap().feed(event::CoordinatorStarted{});
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
}

BOOST_AUTO_TEST_CASE(an_abort_burns_the_number_and_the_next_rotation_leaves_a_gap) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).feed(event::Abort{});
  BOOST_TEST((c.state.rotation == RotationPhase::NoRotation));
  BOOST_TEST(c.state.current == 1u);
  BOOST_TEST(asks(c.actions, action::TakeCensus{}));
  c.census({1});
  BOOST_TEST(asks(c.actions, action::RetireKek{2}));
  c.feed(event::Rotate{});
  BOOST_TEST(c.state.distributing == 3u);
}

BOOST_AUTO_TEST_CASE(an_aborted_enabling_leaves_the_protection_open_to_choose_again) {
  Cluster c;
  c.feed(event::FlagSet{}).feed(event::Enable{keys::Protection::tpm}).feed(event::Abort{});
  BOOST_TEST((c.state.phase == EncryptionPhase::Disabled));
  BOOST_TEST(!c.state.protection.has_value());
  c.feed(event::Enable{keys::Protection::software});
  BOOST_TEST(c.state.distributing == 2u);
}

BOOST_AUTO_TEST_CASE(wishes_in_the_wrong_state_are_refused) {
  Cluster c;
  BOOST_TEST(c.refuses(event::Rotate{}));
  BOOST_TEST(c.refuses(event::Abort{}));
  c.enabled();
  BOOST_TEST(c.refuses(event::Enable{keys::Protection::tpm}));
  BOOST_TEST(c.refuses(event::Abort{}));
  c.feed(event::Rotate{});
  BOOST_TEST(c.refuses(event::Rotate{}));
  c.all_prove();
  BOOST_TEST(c.refuses(event::Rotate{}));
  BOOST_TEST(c.refuses(event::Abort{}));  // volumes already carry the new generation
  BOOST_TEST(!advance(c.state, {}, event::FlagSet{}).has_value());
}

BOOST_AUTO_TEST_CASE(a_volume_that_turns_up_takes_its_generation_back_from_retirement) {
  Cluster c;
  c.enabled().feed(event::Rotate{}).all_prove().all_rewrap().census({2});
  BOOST_TEST(still_due(c.state, c.members, action::RetireKek{1}));
  c.census({1, 2});
  BOOST_TEST((c.state.previous == std::set<Generation>{1}));
  BOOST_TEST(!still_due(c.state, c.members, action::RetireKek{1}));
}

BOOST_AUTO_TEST_CASE(what_the_state_has_passed_is_not_due_any_more) {
  Cluster c;
  c.enabled().feed(event::Rotate{});
  const auto member = *c.members.begin();
  BOOST_TEST(still_due(c.state, c.members, action::CreateKek{2}));
  BOOST_TEST(still_due(c.state, c.members, action::ProveKek{member, 2}));
  c.feed(event::Proved{member, 2});
  BOOST_TEST(!still_due(c.state, c.members, action::ProveKek{member, 2}));
  c.all_prove();
  BOOST_TEST(!still_due(c.state, c.members, action::CreateKek{2}));
  BOOST_TEST(still_due(c.state, c.members, action::RewrapVolumes{member, 2}));
  BOOST_TEST(!still_due(c.state, c.members, action::TakeCensus{}));
  c.all_rewrap();
  BOOST_TEST(still_due(c.state, c.members, action::TakeCensus{}));
}
