// See verb_formats.hpp.
#include "tests/support/verb_formats.hpp"

#include <yaml-cpp/yaml.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <map>

namespace volcrypt::test {

namespace {

namespace json = boost::json;

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

}  // namespace

Told in_all_formats(const std::function<CommandResult(const Words& format)>& run, int status) {
  std::map<std::string, CommandResult> results;
  for (const std::string format : {"table", "json", "yaml"}) {
    const CommandResult result = results[format] = run({"-o", format});
    BOOST_TEST_CONTEXT(format << ": " << result.out << result.err) { BOOST_REQUIRE(result.status == status); }
  }
  Told told{results["table"].out, nullptr, results["table"].err};
  if (results["json"].out.empty()) {
    BOOST_TEST(told.table.empty());
    BOOST_TEST(results["yaml"].out.empty());
  } else {
    told.document = json::parse(results["json"].out);
    BOOST_TEST(form_of(YAML::Load(results["yaml"].out)) == form_of(told.document));
  }
  for (const auto& [format, result] : results)
    if (status != 0) BOOST_TEST(result.err == told.error, format);
  BOOST_TEST_MESSAGE(told.table << json::serialize(told.document) << told.error);
  return told;
}

Told in_all_formats(const Daemon& daemon, const Words& words, const Circumstances& circumstances) {
  return in_all_formats(
      [&](const Words& format) {
        circumstances.prepare();
        Words all = words;
        all.insert(all.end(), format.begin(), format.end());
        return daemon.control(all, circumstances.passphrases);
      },
      circumstances.status);
}

}  // namespace volcrypt::test
