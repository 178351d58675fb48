// Attach policy: a volume that another node owns, by what that node says of it.
#include <boost/test/unit_test.hpp>
#include <utility>

#include "tests/support/attach_question.hpp"

namespace volcrypt::volumes {

using namespace test::attaching;

BOOST_AUTO_TEST_SUITE(volumes_owner)

BOOST_AUTO_TEST_CASE(a_volume_of_another_owner_is_asked_for_and_nothing_happens_before) {
  BOOST_TEST((decide_attach(elsewhere(OwnerWord::unasked)).verdict == Verdict::ask_owner));
  AttachQuestion question = elsewhere(OwnerWord::unasked);
  question.take_over = TakeOver::by_order;  // an order does not make the question needless
  BOOST_TEST((decide_attach(question).verdict == Verdict::ask_owner));
}

BOOST_AUTO_TEST_CASE(what_is_gone_at_its_owner_is_taken_over) {
  BOOST_TEST((decide_attach(elsewhere(OwnerWord::gone)).verdict == Verdict::take_over));
}

BOOST_AUTO_TEST_CASE(what_its_owner_holds_is_refused_with_its_name_even_by_order) {
  for (const OwnerWord word : {OwnerWord::mapped, OwnerWord::visible}) {
    AttachQuestion question = elsewhere(word);
    must_refuse(question, errc::wrong_state);
    BOOST_TEST(decide_attach(question).reason.find("server2") != std::string::npos);
    question.take_over = TakeOver::by_order;
    must_refuse(question, errc::wrong_state);
    BOOST_TEST(decide_attach(question).way_out.find("--take-over") == std::string::npos);
  }
  BOOST_TEST(decide_attach(elsewhere(OwnerWord::mapped)).way_out.find("`volcryptctl detach data1`") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_owner_that_is_silent_or_removed_is_decided_for_by_order_alone_and_the_command_is_told) {
  for (const auto& [word, cause] :
       {std::pair(OwnerWord::silent, errc::timed_out), {OwnerWord::no_member, errc::wrong_state}}) {
    AttachQuestion question = elsewhere(word);
    must_refuse(question, cause);
    BOOST_TEST(decide_attach(question).reason.find("server2") != std::string::npos);
    BOOST_TEST(decide_attach(question).way_out.find("`volcryptctl attach data1 --take-over`") != std::string::npos);
    question.order = Order::this_drive;
    BOOST_TEST(decide_attach(question).way_out.find("`volcryptctl attach data1 --device /dev/vdb --take-over`") !=
               std::string::npos);
    question.take_over = TakeOver::by_order;
    BOOST_TEST((decide_attach(question).verdict == Verdict::take_over));
  }
}

BOOST_AUTO_TEST_CASE(while_it_is_not_known_who_is_a_member_no_order_helps) {
  AttachQuestion question = elsewhere(OwnerWord::unknown);
  must_refuse(question, errc::timed_out);
  question.take_over = TakeOver::by_order;
  must_refuse(question, errc::timed_out);
  BOOST_TEST(decide_attach(question).way_out.find("The store does not answer.") != std::string::npos);
}

// Its owner would change, and the drive not be attached.
BOOST_AUTO_TEST_CASE(what_would_be_refused_anyway_is_neither_asked_for_nor_taken_over) {
  for (const OwnerWord word : {OwnerWord::unasked, OwnerWord::gone}) {
    AttachQuestion question = elsewhere(word);
    question.held = {4};
    must_refuse(question, errc::wrong_generation);
    question = elsewhere(word);
    question.drive.token.name = "data2";
    must_refuse(question, errc::header_changed);
    question = elsewhere(word);
    question.copies = {sighting("/dev/vdc", 11)};
    must_refuse(question, errc::duplicate_volume);
    question = elsewhere(word);
    question.mappings = {mapping("swap", other_volume, 10)};
    must_refuse(question, errc::device_busy);
  }
}

BOOST_AUTO_TEST_CASE(what_is_mapped_here_and_anothers_is_asked_for_too) {
  AttachQuestion question = elsewhere(OwnerWord::unasked);
  question.mappings = {mapping("data1", volume, 10)};
  BOOST_TEST((decide_attach(question).verdict == Verdict::ask_owner));
  question.owner.word = OwnerWord::gone;
  BOOST_TEST((decide_attach(question).verdict == Verdict::take_over));
  question.owner.word = OwnerWord::mapped;
  must_refuse(question, errc::wrong_state);
}

BOOST_AUTO_TEST_CASE(the_create_of_another_node_that_was_cut_off_is_its_volume_still) {
  AttachQuestion question = elsewhere(OwnerWord::unasked);
  question.half_made = std::exchange(question.record, std::nullopt);
  BOOST_TEST((owner_of(question) == other_node));
  BOOST_TEST((decide_attach(question).verdict == Verdict::ask_owner));
  question.half_made->owner = node;
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
}

BOOST_AUTO_TEST_CASE(what_another_node_was_told_is_gone_waits_unless_it_is_mapped_or_ordered) {
  AttachQuestion question = known_drive();
  question.promised = true;
  must_refuse(question, errc::timed_out);
  question.take_over = TakeOver::by_order;
  BOOST_TEST((decide_attach(question).verdict == Verdict::attach));
  question.take_over = TakeOver::if_gone;
  question.mappings = {mapping("data1", volume, 10)};
  BOOST_TEST((decide_attach(question).verdict == Verdict::already_attached));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
