// Hex, base64, UUIDs and file descriptors.
#define BOOST_TEST_DYN_LINK
#include <fcntl.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "dmtarget/bytes.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/uuid.hpp"
#include "tests/support/refusal.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_bytes)

using namespace volcrypt;
using volcrypt::tests::refusal;

BOOST_AUTO_TEST_CASE(hex_is_lower_case_both_ways) {
  Bytes bytes{0x00, 0x0a, 0x7f, 0xff};
  BOOST_TEST(to_hex(bytes) == "000a7fff");
  BOOST_TEST(from_hex("000a7fff") == bytes);
  BOOST_TEST(from_hex("").empty());
  for (const char* wrong : {"0", "0A", "0g", " 00", "0x00", "00 "}) {
    refusal(errc::invalid_argument, [&] { from_hex(wrong); });
  }
}

// RFC 4648 section 10.
BOOST_AUTO_TEST_CASE(base64_is_that_of_the_rfc) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (auto [text, encoded] : vectors) {
    BOOST_TEST(to_base64(as_bytes(text)) == encoded);
    Bytes decoded = from_base64(encoded);
    BOOST_TEST(std::string(decoded.begin(), decoded.end()) == text);
  }
}

BOOST_AUTO_TEST_CASE(base64_of_random_bytes_comes_back) {
  for (std::size_t size = 0; size < 100; ++size) {
    Bytes bytes(size);
    fill_random(bytes);
    BOOST_TEST(from_base64(to_base64(bytes)) == bytes);
  }
}

BOOST_AUTO_TEST_CASE(base64_has_one_spelling) {
  for (const char* wrong :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm8 ", "Zm8\n", "Zm-_", "Zm=v"}) {
    refusal(errc::invalid_argument, [&] { from_base64(wrong); });
  }
}

BOOST_AUTO_TEST_CASE(a_uuid_has_one_spelling) {
  const std::string text = "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4";
  BOOST_TEST(Uuid::parse(text).str() == text);
  for (const char* wrong : {"", "0F5C0BD2-5A80-4B8E-9A54-30C5BE4BD5D4", "{0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4}",
                            "0f5c0bd25a804b8e9a5430c5be4bd5d4", "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d",
                            "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d44", "0f5c0bd2-5a80-4b8e-9a5430c5be4bd5d4-",
                            "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5dg"}) {
    refusal(errc::invalid_argument, [&] { Uuid::parse(wrong); });
  }
}

BOOST_AUTO_TEST_CASE(random_uuids_are_of_version_4_and_differ) {
  Uuid a = Uuid::random(), b = Uuid::random();
  BOOST_TEST((a != b));
  BOOST_TEST(a.str()[14] == '4');
  BOOST_TEST(std::string("89ab").find(a.str()[19]) != std::string::npos);
  BOOST_TEST(Uuid().is_nil());
  BOOST_TEST(!a.is_nil());
}

BOOST_AUTO_TEST_CASE(a_file_descriptor_is_closed_once_by_its_last_owner) {
  int number = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  BOOST_REQUIRE(number >= 0);
  {
    Fd first(number);
    Fd second(std::move(first));
    BOOST_TEST(!first);  // NOLINT: what a moved-from Fd holds is the point
    BOOST_TEST(second.get() == number);
    BOOST_TEST(::fcntl(number, F_GETFD) >= 0);
  }
  BOOST_TEST(::fcntl(number, F_GETFD) == -1);
  BOOST_TEST(errno == EBADF);
}

BOOST_AUTO_TEST_SUITE_END()
