// The demo's story as assertions, in both protections: tell_the_story throws at the first thing that is not as told.
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/vm/story.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(with_a_tpm_files_survive_rotation_pulled_drive_and_reboot_and_are_not_on_the_raw_drive) {
  Transcript transcript(std::cout);
  Server server({.name = "story-tpm"}, transcript);
  tell_the_story(server, Protection::tpm);
  BOOST_TEST(!server.machine.running());
}

BOOST_AUTO_TEST_CASE(without_a_tpm_software_encryption_tells_the_same_story) {
  Transcript transcript(std::cout);
  Server server({.name = "story-software"}, transcript);
  tell_the_story(server, Protection::software);
  BOOST_TEST(!server.machine.running());
}
