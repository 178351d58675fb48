// The main story of volcrypt on one server: from a blank drive to files that survive rotation, a pulled drive and a
// reboot, and that nobody finds on the raw drive. The demo tells it, the vm tier asserts it: one text for both.
#pragma once

#include "tests/vm/server.hpp"

namespace volcrypt::test {

// The machine must be off, with nothing of volcrypt on it. Throws at the first thing that is not as told.
void tell_the_story(Server& server, Protection protection);

}  // namespace volcrypt::test
