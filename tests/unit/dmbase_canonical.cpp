// The canonical encoding against vectors computed by other software (tests/data/dmbase_vectors.py).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/canonical.hpp"
#include "tests/support/vectors.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_canonical)

using namespace volcrypt;

namespace {

void add_field(Canonical& canonical, const boost::json::object& field) {
  if (const auto* text = field.if_contains("text")) {
    canonical.add(std::string_view(text->as_string()));
  } else if (const auto* hex = field.if_contains("hex")) {
    canonical.add(from_hex(std::string_view(hex->as_string())));
  } else {
    canonical.add(std::stoull(std::string(field.at("number").as_string())));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(encodings_and_hashes_equal_the_vectors) {
  tests::Vectors vectors("dmbase_canonical.json");
  std::size_t seen = 0;
  for (const auto& item : vectors.list("cases")) {
    tests::Vectors one(item.as_object());
    BOOST_TEST_CONTEXT(one.text("name")) {
      const auto& fields = one.list("fields");
      Canonical canonical(std::string_view(fields.at(0).at("text").as_string()));
      for (std::size_t i = 1; i < fields.size(); ++i) add_field(canonical, fields[i].as_object());
      BOOST_TEST(to_hex(canonical.bytes()) == one.text("encoded"));
      BOOST_TEST(to_hex(canonical.sha256()) == one.text("sha256"));
      ++seen;
    }
  }
  BOOST_TEST(seen == 7U);
}

BOOST_AUTO_TEST_CASE(fields_that_join_to_the_same_text_differ) {
  BOOST_TEST(Canonical("l").add("ab").add("c").bytes() != Canonical("l").add("a").add("bc").bytes());
  BOOST_TEST(Canonical("l").add("ab").bytes() != Canonical("l").add("ab").add("").bytes());
}

// FIPS 180-2 appendix B.1.
BOOST_AUTO_TEST_CASE(sha256_is_that_of_the_standard) {
  BOOST_TEST(to_hex(sha256(as_bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

BOOST_AUTO_TEST_SUITE_END()
