// For BOOST_CHECK_EXCEPTION: the Error has this cause; its text goes to the test's log. Include it after unit_test.hpp.
#pragma once

#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"

namespace volcrypt::test {

inline auto with(errc code) {
  return [code](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == code;
  };
}

}  // namespace volcrypt::test
