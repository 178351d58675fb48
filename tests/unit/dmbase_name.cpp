// Rules for volume names, and the texts that are formed from them.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/name.hpp"
#include "tests/support/refusal.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_name)

using namespace volcrypt;
using volcrypt::tests::refusal;

namespace {
const Uuid volume = Uuid::parse("0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4");
}

BOOST_AUTO_TEST_CASE(good_names_pass) {
  for (const std::string& name : {std::string("a"), std::string("7"), std::string("data1"), std::string("Data_1.x-y"),
                                  std::string(38, 'n'), std::string("controls")}) {
    BOOST_CHECK_NO_THROW(dm::check_volume_name(name));
  }
}

BOOST_AUTO_TEST_CASE(a_broken_rule_is_named) {
  const std::pair<std::string, const char*> wrong[] = {
      {"", "must not be empty"},      {std::string(39, 'n'), "at most 38"},
      {"-a", "starts with a letter"}, {".a", "starts with a letter"},
      {"_a", "starts with a letter"}, {"a/b", "consists of"},
      {"a b", "consists of"},         {"a\\x20", "consists of"},
      {"a\n", "consists of"},         {std::string("a\0b", 3), "consists of"},
      {"a\xc3\xa4", "consists of"},   {"control", "device-mapper's own"},
  };
  for (const auto& [name, rule] : wrong) {
    std::string text = refusal(errc::invalid_argument, [&name = name] { dm::check_volume_name(name); });
    BOOST_TEST(text.find(rule) != std::string::npos, text);
  }
}

BOOST_AUTO_TEST_CASE(every_text_formed_from_a_name_checks_it) {
  refusal(errc::invalid_argument, [] { dm::header_label("a b"); });
  refusal(errc::invalid_argument, [] { dm::mapping_path("../x"); });
  refusal(errc::invalid_argument, [] { dm::mapping_uuid(volume, ""); });
}

BOOST_AUTO_TEST_CASE(texts_are_exact) {
  BOOST_TEST(dm::header_label("data1") == "volcrypt:data1");
  BOOST_TEST(dm::header_label(std::string(38, 'n')).size() == 47U);
  BOOST_TEST(dm::mapping_path("data1") == "/dev/mapper/data1");
  BOOST_TEST(dm::mapping_uuid(volume, "data1") == "CRYPT-LUKS2-0f5c0bd25a804b8e9a5430c5be4bd5d4-data1");
  BOOST_TEST(dm::mapping_uuid(volume, std::string(38, 'n')).size() < 129U);  // DM_UUID_LEN with its final zero
  BOOST_TEST(dm::keyring_description(volume) == "cryptsetup:0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4-d0");
}

BOOST_AUTO_TEST_CASE(our_mappings_are_told_by_their_whole_uuid) {
  BOOST_TEST(dm::is_mapping_of("CRYPT-LUKS2-0f5c0bd25a804b8e9a5430c5be4bd5d4-any", volume));
  BOOST_TEST(!dm::is_mapping_of("CRYPT-LUKS1-0f5c0bd25a804b8e9a5430c5be4bd5d4-any", volume));
  BOOST_TEST(!dm::is_mapping_of("CRYPT-LUKS2-0f5c0bd25a804b8e9a5430c5be4bd5d4", volume));
  BOOST_TEST(!dm::is_mapping_of("CRYPT-LUKS2-0f5c0bd25a804b8e9a5430c5be4bd5d5-any", volume));
  BOOST_TEST(!dm::is_mapping_of("", volume));
}

BOOST_AUTO_TEST_SUITE_END()
