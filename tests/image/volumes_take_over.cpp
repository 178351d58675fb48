// Volumes in a cluster: a drive that moved to another node, what the owner of record says of it, and who decides when
// it says nothing.
#include "tests/support/listening.hpp"
#include "tests/support/neighbours.hpp"
#include "tests/support/refusal.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using tests::refusal;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
const std::string take_over = "`volcryptctl attach data1 --take-over`";

asio::awaitable<void> attach_there(VolumeService& there, std::string device) {
  (void)co_await there.attach_device(std::move(device));
}
asio::awaitable<void> fail(std::size_t& left) {
  if (left > 0 && --left == 0) throw Error(errc::timed_out, {"ask", "the store", ""});
  co_return;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_take_over, test::MovedDrive)

BOOST_AUTO_TEST_CASE(a_drive_that_moved_changes_hands_by_itself_and_back) {
  const test::Listening log{directory.path("log")};
  move();
  BOOST_TEST(plugged_in(other()) == "none");
  BOOST_TEST((owner() == second_id));
  BOOST_TEST(second_drives->mapped() == 1U);
  BOOST_TEST(log.lines("taken over from another node").size() == 1U);
  BOOST_TEST(at(other().get("data1")).owner_name == "node2");
  // The old owner neither counts nor rewraps it, and the new one does.
  BOOST_TEST(at(first().census()).empty());
  node->make_current(2);
  BOOST_TEST(at(first().rewrap_all(2)).total == 0U);
  BOOST_TEST(at(other().rewrap_all(2)).done == 1U);
  BOOST_TEST((at(other().census()) == std::set<Generation>{2}));
  // Nor does it attach the drive while both see it.
  devices->plug(device);
  BOOST_TEST(plugged_in(first()) == "wrong_state");
  at(first().attach_missing());
  BOOST_TEST(devices->mapped() == 0U);
  devices->unplug(device);

  at(other().detach("data1"));
  second_drives->unplug(device);
  devices->plug(device);
  BOOST_TEST(plugged_in(first()) == "none");
  BOOST_TEST((owner() == first_id()));
  BOOST_TEST(at(other().census()).empty());
}

BOOST_AUTO_TEST_CASE(a_drive_that_its_owner_holds_is_refused_with_the_owners_name_even_by_order) {
  second_drives->plug(device);  // both see it
  BOOST_TEST(
      holds(refusal(errc::wrong_state, [&] { at(other().attach_device(device)); }), "node1, where it is attached"));
  BOOST_TEST(kind_of([&] { at(other().attach("data1", TakeOver::by_order)); }) == "wrong_state");
  at(first().detach("data1"));
  const auto text = refusal(errc::wrong_state, [&] { at(other().attach_from("data1", device, TakeOver::by_order)); });
  BOOST_TEST(holds(text, "node1, where its drive is, too"), text);
  // Its mapping outlives its drive for as long as somebody uses it.
  at(first().attach("data1"));
  devices->hold("data1");
  devices->unplug(device);
  BOOST_TEST(plugged_in(other()) == "wrong_state");
  BOOST_TEST((owner() == first_id()));
  BOOST_TEST(second_drives->mapped() == 0U);
}

BOOST_AUTO_TEST_CASE(where_its_owner_is_silent_nothing_happens_by_itself_and_the_administrator_decides) {
  move();
  neighbours.silent = {first_id()};
  const auto text = refusal(errc::timed_out, [&] { at(other().attach_device(device)); });
  BOOST_TEST(holds(text, "node1"), text);
  BOOST_TEST(holds(text, take_over), text);
  at(other().attach_missing());
  at(other().start());
  BOOST_TEST(second_drives->mapped() == 0U);
  BOOST_TEST((at(other().get("data1")).condition == Condition::failed));
  BOOST_TEST((owner() == first_id()));
  BOOST_TEST((at(other().attach("data1", TakeOver::by_order)).changed == dm::Changed::yes));
  BOOST_TEST((owner() == second_id));

  // The old owner comes back and sees the drive, too: it asks the store before it attaches anything.
  devices->plug(device);
  reboot_all();
  neighbours.silent.clear();
  at(first().start());
  BOOST_TEST(devices->mapped() == 0U);
  // It has learnt it, and knows it without the store.
  reboot_all();
  node->break_store();
  at(first().start());
  BOOST_TEST(devices->mapped() == 0U);
}

// What --take-over is a decision about.
BOOST_AUTO_TEST_CASE(an_old_owner_that_knows_nothing_of_it_attaches_what_it_owned_last_and_complains_when_it_learns) {
  neighbours.silent = {first_id()};
  devices->unplug(device);
  devices->remove_dead("data1");
  second_drives->plug(device);
  const std::string copy = directory.path("catalogue"), before = directory.path("catalogue-before");
  std::filesystem::copy_file(copy, before);
  BOOST_TEST((at(other().attach("data1", TakeOver::by_order)).changed == dm::Changed::yes));
  devices->plug(device);
  reboot_all();
  std::filesystem::copy_file(before, copy, std::filesystem::copy_options::overwrite_existing);
  node->break_store();
  at(first().start());
  BOOST_TEST(devices->mapped() == 1U);
  const test::Listening log{directory.path("log")};
  node->store.broken = false;
  for (int look = 0; look < 2; ++look) {
    const VolumeView view = at(first().get("data1"));
    BOOST_TEST((view.condition == Condition::attached));
    BOOST_TEST(holds(view.failure, "node2"), view.failure);
    BOOST_TEST(holds(view.failure, "`volcryptctl detach data1`"), view.failure);
  }
  BOOST_TEST(log.lines("a volume of another node is attached here").size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_volumes_of_a_removed_node_are_taken_over_by_order) {
  move();
  neighbours.removed = {first_id()};
  const auto text = refusal(errc::wrong_state, [&] { at(other().attach("data1")); });
  BOOST_TEST(holds(text, "no member"), text);
  BOOST_TEST(holds(text, take_over), text);
  BOOST_TEST(neighbours.asked == 0U);
  node->make_current(2);
  BOOST_TEST((at(other().census()) == std::set<Generation>{1}));  // nobody else looks at this header
  BOOST_TEST((at(other().attach("data1", TakeOver::by_order)).changed == dm::Changed::yes));
  BOOST_TEST((owner() == second_id));
  BOOST_TEST(second_drives->look(device).token.generation == 2U);  // caught up
}

BOOST_AUTO_TEST_CASE(a_create_of_a_removed_node_that_was_cut_off_is_taken_over_and_completed) {
  const std::string half = drive("vdc");
  devices->after = [](std::string_view call) {
    if (call == "create") throw Error(errc::timed_out, {"format", "the drive", ""});
  };
  BOOST_TEST(kind_of([&] { node->create("data2", half); }) == "timed_out");
  devices->after = nullptr;
  BOOST_TEST(at(node->store.list("intent/")).size() == 1U);
  devices->unplug(half);
  second_drives->plug(half);
  neighbours.removed = {first_id()};
  BOOST_TEST(kind_of([&] { at(other().attach_device(half)); }) == "wrong_state");
  BOOST_TEST((at(other().attach_from("data2", half, TakeOver::by_order)).changed == dm::Changed::yes));
  BOOST_TEST(at(node->store.list("intent/")).empty());
  BOOST_TEST((at(other().get("data2")).record.owner == second_id));
}

BOOST_AUTO_TEST_CASE(without_the_store_no_volume_changes_hands) {
  move();
  at(other().list());  // it has a copy
  node->break_store();
  for (const TakeOver order : {TakeOver::if_gone, TakeOver::by_order})
    BOOST_TEST(holds(refusal(errc::timed_out, [&] { at(other().attach("data1", order)); }), "store"));
  BOOST_TEST(second_drives->mapped() == 0U);
  node->store.broken = false;
  BOOST_TEST((owner() == first_id()));
  BOOST_TEST(plugged_in(other()) == "none");
}

BOOST_AUTO_TEST_CASE(of_two_that_take_it_over_one_gets_it) {
  move();
  third_drives->plug(device);
  neighbours.after_answer = [this] { return attach_there(third->volumes, device); };
  BOOST_TEST(plugged_in(other()) == "conflict");
  BOOST_TEST((owner() == third_id));
  BOOST_TEST(third_drives->mapped() == 1U);
  BOOST_TEST(second_drives->mapped() == 0U);
}

BOOST_AUTO_TEST_CASE(a_take_over_that_is_cut_off_anywhere_leaves_one_owner_and_can_be_said_again) {
  std::size_t failures = 0;
  for (const bool is_done : {false, true}) {
    auto& place = is_done ? node->store.after : node->store.before;
    for (std::size_t step = 1;; ++step) {
      move();
      std::size_t left = step;
      place = [&left] { return fail(left); };
      const std::string end = plugged_in(other());
      place = nullptr;
      const bool failed = left == 0;
      failures += failed ? 1 : 0;
      if (second_drives->mapped() > 0) BOOST_TEST((owner() == second_id), step);
      if (end == "none") BOOST_TEST(second_drives->mapped() == 1U);
      BOOST_TEST((plugged_in(other()) == "none"), step);
      BOOST_TEST((owner() == second_id));
      at(other().detach("data1"));
      second_drives->unplug(device);
      devices->plug(device);
      BOOST_REQUIRE(plugged_in(first()) == "none");
      if (!failed) break;
    }
  }
  BOOST_TEST(failures > 5U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
