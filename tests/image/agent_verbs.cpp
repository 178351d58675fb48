// volcryptctl's verbs on volumes and headers as processes against a daemon over plain files: table,
// JSON and YAML of each say the same, the exit status is 0, and what the verb is for has happened.
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

namespace json = boost::json;
using test::CommandResult;
using test::Daemon;
using test::holds;
using test::must_succeed;
using test::Told;
using test::Words;

struct OneVolume {
  Daemon daemon{"none", test::Drives::files};
  std::string device;

  OneVolume() {
    test::make_enabled_cluster(daemon, "software");
    device = daemon.plug("vdb");
    must_succeed(daemon.control({"create", "volume", "data1", "--device", device}));
  }

  json::value volume() const { return daemon.ask({"get", "volume", "data1"}); }
  std::string state() const { return volume().at("state").as_string().c_str(); }

  Told in_all_formats(
      const Words& words, const std::function<void()>& prepare = [] {}, const Words& passphrases = {}) const {
    return test::in_all_formats(daemon, words, {prepare, passphrases, 0});
  }

  void damage_both_header_copies() const {
    std::fstream file(device, std::ios::in | std::ios::out | std::ios::binary);
    for (const int at : {64, 16384 + 64}) file.seekp(at).write("damage", 6);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(agent_verbs, OneVolume)

BOOST_AUTO_TEST_CASE(get_volume_tells_one_volume_in_detail) {
  const Told told = in_all_formats({"get", "volume", "data1"});
  BOOST_TEST(told.document.at("state").as_string() == "attached");
  BOOST_TEST(told.document.at("device").as_string() == device);
  BOOST_TEST(told.document.at("mapping").as_string() == "/dev/mapper/data1");
  BOOST_TEST(told.document.at("kekGeneration").to_number<int>() == 1);
  for (const std::string words : {"data1", "attached", "/dev/mapper/data1", "aes-xts-plain64", "refused"})
    BOOST_TEST(holds(told.table, words), words);
  const Told all = in_all_formats({"get", "volumes"});
  BOOST_TEST(all.document.at("volumes").at(0) == told.document);
  const CommandResult none = daemon.control({"get", "volume", "data2"});
  BOOST_TEST(none.status == 5);
  BOOST_TEST(holds(none.err, "get volumes"));
}

BOOST_AUTO_TEST_CASE(detach_and_attach_change_the_state_once_and_say_so) {
  const Told detached = in_all_formats({"detach", "data1"}, [&] { must_succeed(daemon.control({"attach", "data1"})); });
  BOOST_TEST(detached.table == "Volume data1 is detached.\n");
  BOOST_TEST(detached.document.at("changed").as_bool());
  BOOST_TEST(state() == "detached");
  const Told again = in_all_formats({"detach", "data1"});
  BOOST_TEST(again.table == "Volume data1 was already detached; nothing changed.\n");
  BOOST_TEST(!again.document.at("changed").as_bool());
  const Told attached = in_all_formats({"attach", "data1"}, [&] { must_succeed(daemon.control({"detach", "data1"})); });
  BOOST_TEST(attached.table == "Volume data1 is attached as /dev/mapper/data1.\n");
  BOOST_TEST(attached.document.at("changed").as_bool());
  BOOST_TEST(state() == "attached");
}

BOOST_AUTO_TEST_CASE(header_backup_writes_a_file_that_header_restore_takes) {
  const std::string file = daemon.path("header");
  const Told told =
      in_all_formats({"header", "backup", "data1", "--output", file}, [&] { std::filesystem::remove(file); });
  BOOST_TEST(holds(told.table, "no key in clear"));
  BOOST_TEST(told.document.at("bytes").to_number<std::uintmax_t>() == std::filesystem::file_size(file));
  const CommandResult taken = daemon.control({"header", "backup", "data1", "--output", file});
  BOOST_TEST(taken.status == 4);
  BOOST_TEST(holds(taken.err, "a file of that name exists"));

  must_succeed(daemon.control({"detach", "data1"}));
  const auto damage = [&] {
    damage_both_header_copies();
    BOOST_TEST(daemon.control({"attach", "data1", "--device", device}).status != 0);
  };
  const Told restored = in_all_formats({"header", "restore", "data1", "--device", device, "--input", file}, damage);
  BOOST_TEST(restored.document.at("changed").as_bool());
  BOOST_TEST(holds(restored.table, "is restored on " + device));
  in_all_formats({"header", "restore", "data1", "--device", device}, damage);  // the agent's own
  must_succeed(daemon.control({"attach", "data1"}));
  BOOST_TEST(state() == "attached");
}

BOOST_AUTO_TEST_CASE(header_restore_says_when_there_was_nothing_to_do) {
  const Told needless = in_all_formats({"header", "restore", "data1", "--device", device});
  BOOST_TEST(!needless.document.at("changed").as_bool());
  BOOST_TEST(needless.table == "The header of volume data1 on " + device + " is in order; nothing changed.\n");
}

BOOST_AUTO_TEST_CASE(delete_volume_destroys_the_header_and_a_second_one_changes_nothing) {
  const auto create_again = [&] {
    if (daemon.control({"get", "volume", "data1"}).status == 0) return;
    must_succeed(daemon.control({"create", "volume", "data1", "--device", device}));
  };
  const Told told = in_all_formats({"delete", "volume", "data1", "--yes"}, create_again);
  BOOST_TEST(told.table == "Volume data1 is erased.\n");
  BOOST_TEST(told.document.at("changed").as_bool());
  BOOST_TEST(daemon.ask({"get", "volumes"}).at("volumes").as_array().empty());
  std::ifstream drive(device, std::ios::binary);
  std::string header(64 * 1024, '\0');
  drive.read(header.data(), static_cast<std::streamsize>(header.size()));
  BOOST_TEST(!holds(header, "volcrypt"));
  const Told again = in_all_formats({"delete", "volume", "data1", "--yes"});
  BOOST_TEST(again.table == "Volume data1 was erased already; nothing changed.\n");
  BOOST_TEST(!again.document.at("changed").as_bool());
}

BOOST_AUTO_TEST_CASE(forget_volume_gives_up_a_drive_that_is_gone_and_a_second_one_changes_nothing) {
  BOOST_TEST(daemon.control({"forget", "volume", "data1", "--yes"}).status == 4);  // it is here
  must_succeed(daemon.control({"detach", "data1"}));
  daemon.unplug("vdb");
  const auto bring_back = [&] {
    if (daemon.control({"get", "volume", "data1"}).status == 0) return;
    daemon.plug_again("vdb");
    must_succeed(daemon.control({"attach", "data1", "--device", device}));
    must_succeed(daemon.control({"detach", "data1"}));
    daemon.unplug("vdb");
  };
  const Told told = in_all_formats({"forget", "volume", "data1", "--yes"}, bring_back);
  BOOST_TEST(holds(told.table, "Volume data1 is forgotten."));
  BOOST_TEST(told.document.at("changed").as_bool());
  BOOST_TEST(daemon.control({"get", "volume", "data1"}).status == 5);
  const Told again = in_all_formats({"forget", "volume", "data1", "--yes"});
  BOOST_TEST(again.table == "Volume data1 was forgotten or erased already; nothing changed.\n");
  BOOST_TEST(!again.document.at("changed").as_bool());
}

// What is forgotten is not erased: its drive may still hold the wrapped key.
BOOST_AUTO_TEST_CASE(a_forgotten_volume_and_a_name_that_never_was_cannot_be_deleted) {
  must_succeed(daemon.control({"detach", "data1"}));
  daemon.unplug("vdb");
  must_succeed(daemon.control({"forget", "volume", "data1", "--yes"}));
  BOOST_TEST(daemon.control({"delete", "volume", "data1", "--yes"}).status == 5);
  BOOST_TEST(daemon.control({"delete", "volume", "never", "--yes"}).status == 5);
  BOOST_TEST(daemon.control({"forget", "volume", "never", "--yes"}).status == 5);
}

BOOST_AUTO_TEST_CASE(create_volume_tells_the_mapping_and_a_name_that_is_taken_is_refused) {
  const std::string other = daemon.plug("vdc");
  const auto take_away = [&] { must_succeed(daemon.control({"delete", "volume", "data2", "--yes"})); };
  bool first = true;
  const Told told = in_all_formats({"create", "volume", "data2", "--device", other}, [&] {
    if (!std::exchange(first, false)) take_away();
  });
  BOOST_TEST(told.table == "Volume data2 is created and attached as /dev/mapper/data2.\n");
  BOOST_TEST(told.document.at("changed").as_bool());
  BOOST_TEST(told.document.at("volume").at("name").as_string() == "data2");
  BOOST_TEST(told.document.at("volume").at("mapping").as_string() == "/dev/mapper/data2");
  const Told taken =
      test::in_all_formats(daemon, {"create", "volume", "data2", "--device", daemon.plug("vdd")}, {.status = 4});
  BOOST_TEST(holds(taken.error, "the name is taken"));
}

BOOST_AUTO_TEST_CASE(settle_tells_that_all_are_attached_or_which_is_missing) {
  const Told told = in_all_formats({"settle", "--timeout", "60"});
  BOOST_TEST(told.table == "All volumes are attached.\n");
  BOOST_TEST(told.document.at("settled").as_bool());
  BOOST_TEST(told.document.at("missing").as_array().empty());
  daemon.stop();
  daemon.hold("attach");
  daemon.start();
  const Told missing = test::in_all_formats(daemon, {"settle", "--timeout", "0"}, {.status = 8});
  BOOST_TEST(holds(missing.table, "volume data1 is "));
  BOOST_TEST(!missing.document.at("settled").as_bool());
  BOOST_TEST(missing.document.at("missing").at(0).at("name").as_string() == "data1");
  BOOST_TEST(missing.error == "volcryptctl: the volumes did not settle within 0 seconds.\n");
  daemon.let_go("attach");
}

BOOST_AUTO_TEST_SUITE_END()

// What the package's removal asks before a purge may delete the keys.
BOOST_AUTO_TEST_CASE(agent_verbs_no_cluster_means_no_volumes_but_a_pin_that_cannot_be_read_does_not) {
  const Daemon daemon("none", test::Drives::files);
  BOOST_TEST(daemon.ask({"get", "volumes"}).at("volumes").as_array().empty());
  std::ofstream(daemon.state_directory() + "/pin.json") << "damaged";
  BOOST_TEST(daemon.control({"get", "volumes"}).status != 0);
}

}  // namespace volcrypt
