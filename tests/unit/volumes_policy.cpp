// Attach policy: every rung of decide_attach, and which one wins when several would refuse.
#include <boost/test/unit_test.hpp>

#include "tests/support/attach_question.hpp"

namespace volcrypt::volumes {

using namespace test::attaching;

BOOST_AUTO_TEST_SUITE(volumes_policy)

BOOST_AUTO_TEST_CASE(a_known_drive_of_ours_is_attached) {
  BOOST_TEST((decide_attach(known_drive()).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(a_drive_of_our_cluster_that_the_catalogue_lost_is_attached) {
  AttachQuestion question = known_drive();
  question.record.reset();
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(before_cluster_init_nothing_is_attached) {
  AttachQuestion question = known_drive();
  question.cluster = Uuid{};
  must_refuse(question, errc::wrong_state);
}

BOOST_AUTO_TEST_CASE(wrong_cluster_is_refused_whatever_else_is_true) {
  AttachQuestion question = known_drive();
  question.drive.token.cluster = other_cluster;
  must_refuse(question, errc::wrong_cluster);
  question.held.clear();
  question.copies = {sighting("/dev/vdc", 11)};
  question.mappings = {mapping("data1", volume, 10)};
  question.order = Order::this_drive;
  must_refuse(question, errc::wrong_cluster);
  BOOST_TEST(decide_attach(question).reason.find(other_cluster.str()) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_copy_of_a_deleted_volume_is_refused) {
  AttachQuestion question = known_drive();
  question.record.reset();
  question.erased = true;
  must_refuse(question, errc::wrong_state);
}

BOOST_AUTO_TEST_CASE(a_header_whose_name_differs_from_the_catalogue_is_refused) {
  AttachQuestion question = known_drive();
  question.drive.token.name = "data2";
  must_refuse(question, errc::header_changed);
}

BOOST_AUTO_TEST_CASE(a_header_whose_group_differs_from_the_catalogue_is_refused) {
  AttachQuestion question = known_drive();
  question.drive.token.group = other_volume;
  must_refuse(question, errc::header_changed);
}

BOOST_AUTO_TEST_CASE(a_second_volume_of_a_known_name_is_refused) {
  AttachQuestion question = known_drive();
  question.record.reset();
  question.namesake = record();
  question.namesake->volume = other_volume;
  must_refuse(question, errc::name_taken);
}

BOOST_AUTO_TEST_CASE(a_header_replayed_after_its_generation_was_retired_is_refused) {
  AttachQuestion question = known_drive();
  question.held = {4, 5};
  must_refuse(question, errc::wrong_generation);
  BOOST_TEST(decide_attach(question).reason.find("retired") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_generation_that_this_node_never_had_is_refused_without_calling_it_retired) {
  AttachQuestion question = known_drive();
  question.held = {1, 2};
  must_refuse(question, errc::wrong_generation);
  BOOST_TEST(decide_attach(question).reason.find("retired") == std::string::npos);
  question.held.clear();
  must_refuse(question, errc::wrong_generation);
}

BOOST_AUTO_TEST_CASE(a_previous_generation_that_is_still_held_is_attached) {
  AttachQuestion question = known_drive();
  question.held = {3, 4};
  question.record->generation = 4;
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(a_right_mapping_is_left_alone) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 10)};
  BOOST_TEST((decide_attach(question).verdict == Verdict::already_attached));
}

BOOST_AUTO_TEST_CASE(a_mapping_whose_removal_was_asked_for_is_not_attached_already) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 10)};
  question.mappings[0].is_leaving = true;
  must_refuse(question, errc::device_busy);
  BOOST_TEST(decide_attach(question).way_out.find("/dev/mapper/data1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_leaving_mapping_of_a_drive_that_went_away_is_waited_for_and_of_a_copy_stays_its) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 12)};
  question.mappings[0].is_leaving = true;
  must_refuse(question, errc::device_busy);
  question.copies = {sighting("/dev/vdd", 12)};
  must_refuse(question, errc::duplicate_volume);
}

BOOST_AUTO_TEST_CASE(a_right_mapping_is_left_alone_even_when_its_generation_was_retired) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 10)};
  question.held = {4};
  BOOST_TEST((decide_attach(question).verdict == Verdict::already_attached));
}

BOOST_AUTO_TEST_CASE(a_mapping_of_the_volume_under_another_name_is_refused) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("luks-auto", volume, 10)};
  must_refuse(question, errc::name_taken);
}

BOOST_AUTO_TEST_CASE(a_mapping_of_the_name_that_is_something_else_is_refused) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", other_volume, 99)};
  must_refuse(question, errc::name_taken);
  question.mappings.front().uuid.clear();
  must_refuse(question, errc::name_taken);
}

BOOST_AUTO_TEST_CASE(a_drive_that_another_mapping_uses_is_refused) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("vg0-root", other_volume, 10)};
  must_refuse(question, errc::device_busy);
}

BOOST_AUTO_TEST_CASE(mappings_of_other_drives_do_not_matter) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data2", other_volume, 11), mapping("swap", Uuid{}, 12)};
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(of_two_copies_the_attached_one_stays_and_the_other_is_refused) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 10)};
  question.copies = {sighting("/dev/vdc", 11)};
  BOOST_TEST((decide_attach(question).verdict == Verdict::already_attached));

  AttachQuestion copy = question;
  copy.drive = sighting("/dev/vdc", 11);
  copy.copies = {sighting("/dev/vdb", 10)};
  must_refuse(copy, errc::duplicate_volume);
  copy.order = Order::this_drive;  // not even by order: the live one would be the wrong one to disturb
  must_refuse(copy, errc::duplicate_volume);
}

BOOST_AUTO_TEST_CASE(of_two_detached_copies_neither_is_attached_by_itself) {
  AttachQuestion question = known_drive();
  question.copies = {sighting("/dev/vdc", 11)};
  must_refuse(question, errc::duplicate_volume);
  const Decision decision = decide_attach(question);
  BOOST_TEST(decision.reason.find("/dev/vdc") != std::string::npos);
  BOOST_TEST(decision.way_out.find("--device /dev/vdb") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_two_detached_copies_the_one_that_the_operator_names_is_attached) {
  AttachQuestion question = known_drive();
  question.copies = {sighting("/dev/vdc", 11)};
  question.order = Order::this_drive;
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(naming_the_drive_overrules_nothing_but_the_choice_between_copies) {
  AttachQuestion question = known_drive();
  question.order = Order::this_drive;
  question.held = {4};
  must_refuse(question, errc::wrong_generation);
  question = elsewhere(OwnerWord::visible);
  question.order = Order::this_drive;
  must_refuse(question, errc::wrong_state);
}

BOOST_AUTO_TEST_CASE(a_returned_drive_waits_while_the_mapping_of_its_former_self_is_in_use) {
  AttachQuestion question = known_drive();
  question.mappings = {mapping("data1", volume, 55)};  // over a device number that is gone
  must_refuse(question, errc::device_busy);
}

BOOST_AUTO_TEST_CASE(a_forgotten_drive_is_attached_by_order_alone) {
  AttachQuestion question = known_drive();
  question.record.reset();
  question.forgotten = true;
  const Decision decision = decide_attach(question);
  BOOST_TEST((decision.verdict == Verdict::refuse));
  BOOST_TEST(decision.way_out.find("--device") != std::string::npos);
  question.order = Order::this_drive;
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
