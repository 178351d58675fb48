// posix_spawn with a session of its own; the first terminal that a session's leader opens becomes its own (Linux).
#include "tests/support/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <stdexcept>

extern char** environ;

namespace volcrypt::tests {

namespace {

constexpr int patience = 60000;  // milliseconds

}  // namespace

Terminal::Terminal(const std::vector<std::string>& words, unsigned short columns)
    : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
  if (!master_ || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0)
    throw std::runtime_error("no pseudo-terminal");
  const std::string name = ::ptsname(master_.get());
  slave_ = Fd(::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 25;
  ::ioctl(master_.get(), TIOCSWINSZ, &size);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, name.c_str(), O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions, 0, 1);
  ::posix_spawn_file_actions_adddup2(&actions, 0, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));  // exec's own signature
  arguments.push_back(nullptr);
  const int failed = ::posix_spawn(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("cannot start " + words.front());
}

Terminal::~Terminal() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Terminal::read_some() {
  pollfd waiting{master_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, 100) <= 0) return false;
  char buffer[4096];
  const auto count = ::read(master_.get(), buffer, sizeof buffer);
  if (count > 0) seen_.append(buffer, static_cast<std::size_t>(count));
  return count > 0;
}

void Terminal::expect(const std::string& text, std::chrono::seconds deadline) {
  for (const auto end = std::chrono::steady_clock::now() + deadline;;) {
    const auto found = seen_.find(text, expected_);
    if (found != std::string::npos) {
      expected_ = found + text.size();
      return;
    }
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("'" + text + "' was not shown, but: " + seen_);
    read_some();
  }
}

void Terminal::type(const std::string& keys) {
  if (::write(master_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    throw std::runtime_error("cannot type");
}

bool Terminal::echoes() const {
  termios now{};
  if (::tcgetattr(slave_.get(), &now) != 0) throw std::runtime_error("the terminal does not tell its settings");
  return (now.c_lflag & ECHO) != 0 && (now.c_lflag & ICANON) != 0 && (now.c_lflag & ISIG) != 0;
}

int Terminal::wait() {
  int status = 0;
  for (int waited = 0; ::waitpid(pid_, &status, WNOHANG) == 0; waited += 100) {
    if (waited > patience) throw std::runtime_error("it did not end; it showed: " + seen_);
    read_some();
  }
  pid_ = 0;
  while (read_some()) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace volcrypt::tests
