// Checks that a call is refused with a given cause, and lets the test look at the text. Tests only.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string>

#include "dmtarget/error.hpp"

namespace volcrypt::tests {

// The Error's text; a failure of the test, and "", when the call did not throw one with this cause.
template <class Call>
std::string refusal(errc cause, Call call) {
  try {
    call();
  } catch (const Error& error) {
    BOOST_TEST(errc_name(error.code()) == errc_name(make_error_code(cause)), error.what());
    return error.what();
  }
  BOOST_ERROR("not refused, but should be with " << errc_name(make_error_code(cause)));
  return "";
}

}  // namespace volcrypt::tests
