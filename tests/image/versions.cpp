// The version stands in CMakeLists.txt alone: programs, package, API description, manual pages and change log all have
// that one.
#define BOOST_TEST_DYN_LINK
#include <yaml-cpp/yaml.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/program.hpp"

namespace {

const std::string version = VOLCRYPT_VERSION;

std::string content(const std::string& file) {
  std::ifstream in(file);
  BOOST_REQUIRE_MESSAGE(in, file);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string first_line(const std::string& text, const std::string& beginning) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(beginning)) return line;
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(versions)

BOOST_AUTO_TEST_CASE(both_programs_say_it) {
  BOOST_TEST(volcrypt::tests::run({VOLCRYPTCTL, "--version"}).out == "volcryptctl " + version + "\n");
  BOOST_TEST(volcrypt::tests::run({VOLCRYPTD, "--version"}).out == "volcryptd " + version + "\n");
}

BOOST_AUTO_TEST_CASE(the_package_has_it) {
  const std::string package = content(VOLCRYPT_BUILD "/CPackConfig.cmake");
  BOOST_TEST(first_line(package, "set(CPACK_PACKAGE_VERSION ") == "set(CPACK_PACKAGE_VERSION \"" + version + "\")");
}

BOOST_AUTO_TEST_CASE(the_description_of_the_api_has_it) {
  const YAML::Node document = YAML::LoadFile(VOLCRYPT_BUILD "/agent/control/openapi.yaml");
  BOOST_TEST(document["info"]["version"].as<std::string>() == version);
}

BOOST_AUTO_TEST_CASE(the_manual_pages_have_it) {
  for (const std::string page : {"volcryptctl.1", "volcryptd.8"})
    BOOST_TEST(holds(first_line(content(VOLCRYPT_BUILD "/agent/cli/" + page), ".TH "), "\"volcrypt " + version + "\""),
               page);
}

BOOST_AUTO_TEST_CASE(the_change_log_begins_with_it) {
  BOOST_TEST(first_line(content(VOLCRYPT_SOURCE "/CHANGELOG.md"), "## ") == "## " + version);
}

BOOST_AUTO_TEST_SUITE_END()
