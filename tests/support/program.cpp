// Child processes by posix_spawn: no fork of a test program that has threads.
#include "tests/support/program.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "dmtarget/handle.hpp"

extern char** environ;

namespace volcrypt::tests {

namespace {

struct Pipe {
  Fd reading, writing;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    // High numbers, so that the child's 0 to 9 are free for dup2.
    reading = Fd(::fcntl(ends[0], F_DUPFD_CLOEXEC, 50));
    writing = Fd(::fcntl(ends[1], F_DUPFD_CLOEXEC, 50));
    ::close(ends[0]);
    ::close(ends[1]);
  }
};

pid_t start(const std::vector<std::string>& words, posix_spawn_file_actions_t& actions) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));  // exec's own signature
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
    throw std::runtime_error("cannot start " + words.front());
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Both to their ends; false when two minutes passed without a byte.
bool collect(Pipe& out, Pipe& err, Ran& ran) {
  pollfd waiting[2] = {{out.reading.get(), POLLIN, 0}, {err.reading.get(), POLLIN, 0}};
  std::string* into[2] = {&ran.out, &ran.err};
  for (int open = 2; open > 0;) {
    if (::poll(waiting, 2, 120000) <= 0) return false;
    for (int i = 0; i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      char buffer[4096];
      const auto count = ::read(waiting[i].fd, buffer, sizeof buffer);
      if (count > 0) {
        into[i]->append(buffer, static_cast<std::size_t>(count));
      } else {
        waiting[i].fd = -1;
        --open;
      }
    }
  }
  return true;
}

}  // namespace

Ran run(const std::vector<std::string>& words, const std::vector<std::string>& on_descriptors) {
  Ran ran;
  Pipe out, err;
  std::vector<Pipe> given(on_descriptors.size());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.writing.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.writing.get(), 2);
  for (std::size_t i = 0; i < given.size(); ++i) {
    ::posix_spawn_file_actions_adddup2(&actions, given[i].reading.get(), 3 + static_cast<int>(i));
  }
  const pid_t pid = start(words, actions);
  ::posix_spawn_file_actions_destroy(&actions);
  out.writing = Fd();
  err.writing = Fd();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto& text = on_descriptors[i];  // smaller than a pipe's buffer
    if (::write(given[i].writing.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("cannot give a passphrase");
    }
    given[i].writing = Fd();
  }
  ran.seen =
      content("/proc/" + std::to_string(pid) + "/cmdline") + content("/proc/" + std::to_string(pid) + "/environ");
  const bool ended = collect(out, err, ran);
  if (!ended) ::kill(pid, SIGKILL);
  ran.status = wait_for(pid);
  if (!ended) throw std::runtime_error("did not end: " + words.front() + " " + ran.err);
  return ran;
}

Background::Background(const std::vector<std::string>& words, const std::string& log) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_ = start(words, actions);
  ::posix_spawn_file_actions_destroy(&actions);
}

Background::~Background() {
  if (pid_ > 0) stop(SIGKILL);
}

int Background::stop(int signal) {
  ::kill(pid_, signal);
  const int status = wait_for(pid_);
  pid_ = 0;
  return status;
}

void Background::freeze() {
  ::kill(pid_, SIGSTOP);
  // The signal stops the threads one after the other, as each gets the processor.
  siginfo_t stopped{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
}

void Background::thaw() { ::kill(pid_, SIGCONT); }

}  // namespace volcrypt::tests
