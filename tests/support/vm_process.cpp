// Children through Boost.Process.
#include "tests/support/vm_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>
#include <boost/process/pipe.hpp>
#include <boost/process/search_path.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace bp = boost::process;

namespace volcrypt::test {
namespace {

// Runs in the child between fork and exec.
struct DieWithParent : bp::extend::handler {
  template <class Executor>
  void on_exec_setup(Executor&) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  }
  pid_t parent = ::getpid();
};

bp::filesystem::path find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  auto found = bp::search_path(name);
  if (found.empty()) throw std::runtime_error(name + " is not installed; scripts/install-deps installs it");
  return found;
}

}  // namespace

struct ChildProcess::State {
  bp::child child;
};

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& log) {
  const auto program = find_program(command.at(0));
  const std::vector<std::string> arguments(command.begin() + 1, command.end());
  std::unique_ptr<FILE, int (*)(FILE*)> sink(std::fopen(log.c_str(), "ae"), &std::fclose);
  if (!sink) throw std::runtime_error("cannot write " + log.string());
  state_ = std::make_unique<State>(
      State{bp::child(program, bp::args(arguments), bp::std_in<bp::null, bp::std_out> sink.get(),
                      bp::std_err > sink.get(), DieWithParent{})});
}

ChildProcess::ChildProcess(ChildProcess&&) noexcept = default;

ChildProcess::~ChildProcess() {
  if (state_) kill();
}

bool ChildProcess::running() {
  std::error_code ignored;
  return state_->child.running(ignored);
}

bool ChildProcess::wait(std::chrono::milliseconds deadline) {
  // Polling: child::wait_for of Boost 1.81 forks a timer process and changes signal masks.
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (running()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::usleep(20'000);
  }
  return true;
}

void ChildProcess::kill() noexcept {
  std::error_code ignored;
  if (!state_->child.running(ignored)) return;
  ::kill(state_->child.id(), SIGKILL);
  state_->child.wait(ignored);
}

std::string run_on_host(const std::vector<std::string>& command) {
  const auto program = find_program(command.at(0));
  const std::vector<std::string> arguments(command.begin() + 1, command.end());
  bp::ipstream output;
  bp::child child(program, bp::args(arguments), bp::std_in<bp::null, bp::std_out> output, DieWithParent{});
  std::string text((std::istreambuf_iterator<char>(output)), std::istreambuf_iterator<char>());
  child.wait();
  if (child.exit_code() != 0)
    throw std::runtime_error(command[0] + " failed with exit code " + std::to_string(child.exit_code()) + ": " + text);
  return text;
}

// In memory, where there is room for it: a machine that is slow by emulation does not wait for this computer's drive as
// well. A power cut is the end of QEMU's process, and takes nothing from either place.
WorkDirectory::WorkDirectory() {
  constexpr std::uintmax_t room = std::uintmax_t{8} << 30;  // bytes
  const std::filesystem::path memory = "/dev/shm";
  std::error_code none;
  const auto space = std::filesystem::space(memory, none);
  const bool has_room = !none && space.available >= room;
  std::string pattern = (has_room ? memory : std::filesystem::temp_directory_path()) / "volcrypt-vm-XXXXXX";
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("cannot make a directory " + pattern);
  path_ = pattern;
}

WorkDirectory::~WorkDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace volcrypt::test
