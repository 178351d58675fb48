// The firmware's variable as efivarfs shows it.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "agent/secure_boot.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using cluster::SecureBoot;

namespace {

struct Firmware {
  tests::TemporaryDirectory directory;
  void says(const std::string& content) const {
    std::ofstream(directory.path() / "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", std::ios::binary) << content;
  }
  SecureBoot read() const { return read_secure_boot(directory.path()); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(secure_boot, Firmware)

BOOST_AUTO_TEST_CASE(on_off_and_absent_are_told_apart) {
  BOOST_TEST((read() == SecureBoot::absent));
  BOOST_TEST((read_secure_boot(directory.path() / "no-efi") == SecureBoot::absent));
  says(std::string("\x06\0\0\0\1", 5));
  BOOST_TEST((read() == SecureBoot::on));
  says(std::string("\x06\0\0\0\0", 5));
  BOOST_TEST((read() == SecureBoot::off));
}

BOOST_AUTO_TEST_CASE(what_is_no_such_variable_is_an_error_and_never_on) {
  for (const std::string& content : {std::string(), std::string("\x06\0\0\0", 4), std::string("\x06\0\0\0\2", 5),
                                     std::string("\x06\0\0\0\1\1", 6), std::string(65, '\1')}) {
    says(content);
    BOOST_CHECK_THROW(read(), Error);
  }
}

BOOST_AUTO_TEST_SUITE_END()
