// The demo: boots a machine and tells the story of story.hpp as a transcript; with --shell it leaves a root shell in
// the machine afterwards. Nothing outside of the machine is touched.
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <string_view>

#include "tests/vm/story.hpp"

namespace {

using namespace volcrypt::test;

// socat joins the terminal and the machine's serial console, where root is logged in. Ctrl-] leaves.
void open_shell(Machine& machine) {
  std::cout << "\nA root shell in the machine. Ctrl-] ends it, and the machine with it.\n" << std::flush;
  const std::string console = "UNIX-CONNECT:" + machine.console_socket().string();
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("socat", "socat", "STDIO,raw,echo=0,escape=0x1d", console.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) throw std::runtime_error("socat is not installed");
}

void run(bool shell) {
  Transcript transcript(std::cout);
  Server server({.name = "demo"}, transcript);
  tell_the_story(server, Protection::tpm);
  if (!shell) return;
  server.machine.start();
  open_shell(server.machine);
}

}  // namespace

int main(int argc, char** argv) {
  const bool shell = argc == 2 && argv[1] == std::string_view("--shell");
  if (argc > 1 && !shell) {
    std::cerr << "usage: demo [--shell]\n";
    return 2;
  }
  try {
    run(shell);
  } catch (const std::exception& failure) {
    std::cerr << "\ndemo: " << failure.what() << "\n";
    return 1;
  }
  std::cout << "\nThe story is told: everything was as it should be.\n";
  return 0;
}
