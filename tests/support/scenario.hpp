// What a scenario program ends with: 0 done, 3 refused or failed (which a crash test expects of a failing disk), 4 a
// mistake of the program itself. Tests only.
#pragma once

#include <cstdio>
#include <exception>
#include <stdexcept>

namespace volcrypt::test {

template <class Scenario>
int exit_status_of(Scenario scenario) {
  try {
    scenario();
    return 0;
  } catch (const std::logic_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 4;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}

}  // namespace volcrypt::test
