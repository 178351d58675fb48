// volcryptctl's verbs on volumes, headers, rotation and recovery as processes against a daemon over plain files: table,
// JSON and YAML of each say the same, the exit status is 0, and what the verb is for has happened.
#include <yaml-cpp/yaml.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/support/daemon_checks.hpp"

namespace volcrypt {

namespace {

namespace json = boost::json;
using test::CommandResult;
using test::Daemon;
using test::must_succeed;
using Words = std::vector<std::string>;

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The kinds of everything in it: two runs of a verb may differ in numbers, the formats must not differ in form.
std::string form_of(const json::value& value) {
  std::string form;
  if (const auto* object = value.if_object()) {
    std::map<std::string, std::string> members;
    for (const auto& member : *object) members[member.key()] = form_of(member.value());
    for (const auto& [name, its_form] : members) form += name + ":" + its_form + " ";
    return "{" + form + "}";
  }
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) form += form_of(element) + " ";
    return "[" + form + "]";
  }
  return value.is_null() ? "null" : value.is_bool() ? "bool" : value.is_number() ? "number" : "string";
}

std::string form_of(const YAML::Node& node) {
  std::string form;
  if (node.IsMap()) {
    std::map<std::string, std::string> members;
    for (const auto& member : node) members[member.first.as<std::string>()] = form_of(member.second);
    for (const auto& [name, its_form] : members) form += name + ":" + its_form + " ";
    return "{" + form + "}";
  }
  if (node.IsSequence()) {
    for (const auto& element : node) form += form_of(element) + " ";
    return "[" + form + "]";
  }
  if (node.IsNull()) return "null";
  if (node.Tag() == "!") return "string";  // quoted
  bool truth = false;
  double number = 0;
  if (YAML::convert<bool>::decode(node, truth)) return "bool";
  return YAML::convert<double>::decode(node, number) ? "number" : "string";
}

struct Told {
  std::string table;
  json::value document;  // of -o json
};

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

  // The verb in each format, each time from where `prepare` leads.
  Told in_all_formats(
      const Words& words, const std::function<void()>& prepare = [] {}, const Words& passphrases = {}) const {
    std::map<std::string, std::string> out;
    for (const std::string format : {"table", "json", "yaml"}) {
      prepare();
      Words all = words;
      all.insert(all.end(), {"-o", format});
      const CommandResult result = daemon.control(all, passphrases);
      BOOST_TEST_CONTEXT(format << ": " << result.out << result.err) { BOOST_REQUIRE(result.status == 0); }
      out[format] = result.out;
    }
    Told told{out["table"], json::parse(out["json"])};
    BOOST_TEST(form_of(YAML::Load(out["yaml"])) == form_of(told.document));
    BOOST_TEST_MESSAGE(told.table << json::serialize(told.document));
    return told;
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

BOOST_AUTO_TEST_CASE(rotate_waits_for_the_new_generation_and_tells_its_number) {
  const Told told = in_all_formats({"rotate", "cluster-root-key", "--wait", "--timeout", "100"});
  BOOST_TEST(told.table == "Generation 2 is current.\n");
  BOOST_TEST(told.document.at("rotationState").as_string() == "NoRotation");
  BOOST_TEST(told.document.at("currentKekGeneration").to_number<int>() == 3);
  BOOST_TEST(volume().at("kekGeneration").to_number<int>() == 4);
}

BOOST_AUTO_TEST_CASE(recovery_verify_opens_every_blob) {
  const Told told = in_all_formats({"recovery", "verify", "--recovery-file", daemon.path("recovery.json")}, [] {},
                                   {test::recovery_passphrase});
  BOOST_TEST(told.document.at("verified").as_bool());
  BOOST_TEST(told.document.at("generations").at(0).at("result").as_string() == "opens");
  BOOST_TEST(holds(told.table, "opens"));
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("recovery").at("verified").as_bool());
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
