// The daemon's memory for secrets: locked and out of core dumps while it runs; and no daemon at all where it cannot be
// locked. The same for a single Secret: tests/unit/dmbase_secret.cpp.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/daemon_checks.hpp"

#include <linux/capability.h>

namespace volcrypt {

namespace {

std::string content(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Ended {
  int status = -1;
  std::string log;
};

// volcryptd under RLIMIT_MEMLOCK 0 and, for root, without CAP_IPC_LOCK, which no limit binds. It has 20 seconds.
Ended run_without_lockable_memory() {
  const test::ScratchDirectory directory;
  const std::string config = directory.path("volcryptd.conf"), log = directory.path("log");
  std::ofstream(config) << "state-directory = \"" << directory.path("state") << "\"\nsocket = \""
                        << directory.path("control.sock") << "\"\nsocket-group = \"\"\ntcti = \"none\"\n";
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_MEMLOCK, &none);
    if (::geteuid() == 0 && ::prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK) != 0) ::_exit(125);
    if (::freopen(log.c_str(), "w", stderr) == nullptr) ::_exit(126);
    ::alarm(20);
    ::execl(VOLCRYPT_DAEMON, VOLCRYPT_DAEMON, "--config", config.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(!std::filesystem::exists(directory.path("control.sock")));
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content(log)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keys_locked_memory)

BOOST_AUTO_TEST_CASE(a_daemon_that_cannot_lock_memory_does_not_start_and_names_the_limit) {
  const Ended ended = run_without_lockable_memory();
  BOOST_TEST(ended.status == EXIT_FAILURE, ended.log);
  BOOST_TEST(ended.log.find("RLIMIT_MEMLOCK, which is 0 bytes now") != std::string::npos, ended.log);
  BOOST_TEST(ended.log.find("LimitMEMLOCK=") != std::string::npos, ended.log);
}

BOOST_AUTO_TEST_CASE(the_running_daemon_keeps_a_mebibyte_locked_and_out_of_core_dumps) {
  const test::Daemon daemon("none");
  std::istringstream smaps(content("/proc/" + std::to_string(daemon.pid()) + "/smaps"));
  std::size_t kib = 0, locked_kib = 0;
  for (std::string line; std::getline(smaps, line);) {
    if (line.starts_with("Size:")) kib = std::stoul(line.substr(5));
    if (!line.starts_with("VmFlags:")) continue;
    line += ' ';
    const bool locked = line.find(" lo ") != std::string::npos, undumped = line.find(" dd ") != std::string::npos;
    if (locked && undumped) locked_kib += kib;
  }
  if (::geteuid() == 0) BOOST_TEST(locked_kib >= 1024U);  // others cannot look into a process that is not dumpable
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
