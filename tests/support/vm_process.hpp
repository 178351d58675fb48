// Child processes of the harness: QEMU, swtpm and short host commands. A child dies with the test, however the test
// ends (PR_SET_PDEATHSIG), so nothing is left behind. Start children from the main thread: the kernel watches the
// starting thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace volcrypt::test {

class ChildProcess {
 public:
  // Starts command[0], searched in PATH; its output and errors are appended to `log`. Throws when it cannot be started.
  ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& log);
  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // kills it

  bool running();
  // True when it ended by itself in time.
  bool wait(std::chrono::milliseconds deadline);
  // SIGKILL, and waits. Without effect on a process that has ended.
  void kill() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs a command of the host and returns its standard output; standard error is the test's own. Throws when it fails.
std::string run_on_host(const std::vector<std::string>& command);

// A new directory, in memory or under /tmp, removed with all its content at the end.
class WorkDirectory {
 public:
  WorkDirectory();
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  ~WorkDirectory();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace volcrypt::test
