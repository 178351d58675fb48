// The story as assertions, in both protections: tell_the_story throws at the first thing that is not as told. With a
// TPM it is scripts/demo itself, as a person at a terminal meets it.
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/support/terminal.hpp"
#include "tests/vm/story.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(with_a_tpm_it_is_told_by_the_demo_which_leaves_a_shell_in_the_machine) {
  volcrypt::tests::Terminal demo({VOLCRYPT_DEMO, "--shell"}, 200);
  demo.expect("Ctrl-] ends it", std::chrono::minutes{25});
  demo.type("\n");
  demo.expect("# ");
  // Two volumes after one more boot; the answer is not in what is typed, which the shell echoes.
  demo.type("echo $(id -un) sees $(volcryptctl get volumes | grep -c attached) volumes\n");
  demo.expect("root sees 2 volumes");
  demo.type("\x1d");
  BOOST_TEST(demo.wait() == 0);
  BOOST_TEST(demo.seen().find("everything was as it should be") != std::string::npos);
  std::cout << demo.seen();
}

BOOST_AUTO_TEST_CASE(without_a_tpm_software_encryption_tells_the_same_story) {
  Transcript transcript(std::cout);
  Server server({.name = "story-software"}, transcript);
  tell_the_story(server, Protection::software);
  BOOST_TEST(!server.machine.running());
}
