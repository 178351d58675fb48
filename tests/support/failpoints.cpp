// Running programs into their failpoints, see failpoints.hpp.
#include "tests/support/failpoints.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace volcrypt::test {
namespace {

// Outside of the watched directory, and of this process alone.
std::string count_file() {
  return (std::filesystem::temp_directory_path() / ("volcrypt-steps-" + std::to_string(::getpid()))).string();
}

std::vector<std::string> environment_for(const std::string& directory, const Failpoint& failpoint) {
  std::vector<std::string> variables;
  variables.push_back("LD_PRELOAD=" VOLCRYPT_FAILPOINT_LIBRARY);
  variables.push_back("VOLCRYPT_FAIL_DIR=" + std::filesystem::canonical(directory).string());
  variables.push_back("VOLCRYPT_FAIL_AT=" + std::to_string(failpoint.at));
  variables.push_back("VOLCRYPT_FAIL_HOW=" + failpoint.how);
  variables.push_back(std::string("VOLCRYPT_FAIL_STAYS=") + (failpoint.stays ? "1" : "0"));
  variables.push_back(std::string("VOLCRYPT_FAIL_LOSES=") + (failpoint.loses ? "1" : "0"));
  variables.push_back(std::string("VOLCRYPT_FAIL_FORGETS=") + (failpoint.forgets ? "1" : "0"));
  variables.push_back("VOLCRYPT_FAIL_COUNT=" + count_file());
  // The sanitizer's library wants to be first; being second behind ours is good enough.
  variables.push_back("ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0");
  for (char** entry = environ; *entry; ++entry) variables.emplace_back(*entry);  // of two equal names the first counts
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

struct Counted {
  long steps = 0;
  bool reached = false;  // the step that fails
};

// Nothing of it after an end by a failpoint.
Counted read_counts() {
  Counted counted;
  std::ifstream(count_file()) >> counted.steps >> counted.reached;
  std::filesystem::remove(count_file());
  return counted;
}

std::string text_of(const Failpoint& failpoint) {
  std::ostringstream text;
  text << failpoint;
  return text.str();
}

void check_that_it_happened(const Failpoint& failpoint, int status) {
  if (ends_the_program(failpoint)) {
    if (status != crash_status)
      throw std::runtime_error(text_of(failpoint) + " did not end it; its status is " + std::to_string(status));
  } else if (!read_counts().reached) {
    throw std::runtime_error(text_of(failpoint) + " was never reached; its status is " + std::to_string(status));
  }
}

}  // namespace

bool ends_the_program(const Failpoint& failpoint) {
  return failpoint.how == "crash" || failpoint.how == "after" || failpoint.how == "torn" || failpoint.how == "sliver";
}

std::ostream& operator<<(std::ostream& out, const Failpoint& failpoint) {
  return out << failpoint.how << " at step " << failpoint.at << (failpoint.stays ? ", stays" : "")
             << (failpoint.loses ? ", loses contents that are not flushed" : "")
             << (failpoint.forgets ? ", forgets names that are not flushed" : "");
}

int FailingProgram::run(const Failpoint& failpoint) const {
  std::vector<std::string> variables = environment_for(directory, failpoint);
  std::vector<std::string> words = command;
  std::filesystem::remove(count_file());
  std::filesystem::remove_all(directory + ".names");
  pid_t child = 0;
  int failure = ::posix_spawn(&child, command.front().c_str(), nullptr, nullptr, pointers(words).data(),
                              pointers(variables).data());
  if (failure != 0) throw std::runtime_error("cannot run " + command.front());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) throw std::runtime_error(command.front() + " was ended by a signal");
  if (failpoint.at > 0) check_that_it_happened(failpoint, WEXITSTATUS(status));
  return WEXITSTATUS(status);
}

long FailingProgram::count_steps() const {
  if (int status = run({}); status != 0) throw std::runtime_error("it fails without a failpoint");
  const long steps = read_counts().steps;
  if (steps == 0) throw std::runtime_error("no step was seen: is the library loaded?");
  return steps;
}

std::vector<Failpoint> ways_to_fail(long at) {
  return {{at, "eio"},
          {at, "eio", true},
          {at, "enospc"},
          {at, "enospc", true},
          {at, "crash"},
          {at, "crash", false, true},
          {at, "crash", false, true, true},
          {at, "after"},
          {at, "after", false, true},
          {at, "torn"},
          {at, "sliver"},
          {at, "short"}};
}

}  // namespace volcrypt::test
