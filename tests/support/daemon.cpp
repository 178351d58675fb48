// Daemon, see daemon.hpp. CMake gives the programs' paths as VOLCRYPT_DAEMON, VOLCRYPT_DAEMON_OVER_FILES and
// VOLCRYPT_CONTROL.
#define BOOST_TEST_DYN_LINK
#include "tests/support/daemon.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "agent/http/client.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::test {

namespace {

constexpr std::uintmax_t drive_bytes = 4 << 20;

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

// Forks and executes with standard output and error in files; returns the child.
pid_t execute(std::vector<std::string> words, const std::string& out, const std::string& err) {
  std::vector<char*> argv = pointers(words);
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child > 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int to_out = ::open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int to_err = ::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (to_out < 0 || to_err < 0 || ::dup2(to_out, 1) < 0 || ::dup2(to_err, 2) < 0) ::_exit(126);
  ::execv(argv.front(), argv.data());
  ::_exit(127);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A pipe whose whole content is `text`; the reading end is inherited by the child.
Fd pipe_with(const std::string& text) {
  int ends[2];
  if (::pipe(ends) != 0) fail("pipe");
  const Fd writer(ends[1]);
  Fd reader(ends[0]);
  if (::write(writer.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail("write");
  return reader;
}

}  // namespace

CommandResult run_command(std::vector<std::string> words, const std::vector<std::string>& passphrases) {
  const ScratchDirectory scratch;
  std::vector<Fd> readers;
  for (const std::string& passphrase : passphrases) {
    readers.push_back(pipe_with(passphrase));
    words.push_back("--passphrase-fd");
    words.push_back(std::to_string(readers.back().get()));
  }
  CommandResult result;
  result.status = wait_for(execute(std::move(words), scratch.path("out"), scratch.path("err")));
  result.out = content(scratch.path("out"));
  result.err = content(scratch.path("err"));
  return result;
}

Daemon::Daemon(std::string tcti, std::string configuration, Drives drives)
    : tcti_(std::move(tcti)), configuration_(std::move(configuration)), drives_(drives) {
  std::filesystem::create_directory(path("drives"));
  std::filesystem::create_directory(path("pulled"));
  start();
}

// What a sanitizer finds, at the daemon's end at the latest, is its exit status.
Daemon::~Daemon() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < 300; ++i) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended != 0) {
      BOOST_TEST((ended == pid_ && status == 0), "volcryptd did not end well: " + log());
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  BOOST_ERROR("volcryptd does not end: " + log());
  kill();
}

std::string Daemon::plug(const std::string& name) const {
  const std::string made = path("pulled/" + name);
  std::ofstream(made).close();
  std::filesystem::resize_file(made, drive_bytes);
  plug_again(name);
  return path("drives/" + name);
}

void Daemon::unplug(const std::string& name) const {
  std::filesystem::rename(path("drives/" + name), path("pulled/" + name));
}

void Daemon::plug_again(const std::string& name) const {
  std::filesystem::rename(path("pulled/" + name), path("drives/" + name));
}

void Daemon::hold(const std::string& call) const { std::ofstream(path("hold-" + call)).close(); }
void Daemon::let_go(const std::string& call) const { std::filesystem::remove(path("hold-" + call)); }

void Daemon::set_secure_boot(char value) const {
  std::filesystem::create_directory(path("efivars"));
  const std::string attributes("\x06\0\0\0", 4);  // boot and run time
  std::ofstream(path("efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"), std::ios::binary)
      << attributes << value;
}

std::string Daemon::metrics() const {
  constexpr std::chrono::seconds deadline{10};
  return http::Client(path("control.sock"), deadline).request(http::Method::get, "/metrics", "", deadline).body;
}

std::string Daemon::log() const { return content(path("log")); }

void Daemon::start() { start_until({"get", "clusterinfo"}); }
void Daemon::start_without_store() { start_until({"get", "store"}); }

void Daemon::start_until(const std::vector<std::string>& answered) {
  const std::string file = path("volcryptd.conf");
  std::ofstream(file) << "# written by a test\nstate-directory = \"" << state_directory() << "\"\nsocket = \""
                      << path("control.sock") << "\"\nsocket-group = \"\"\ntcti = \"" << tcti_ << "\"\n"
                      << configuration_;
  const char* program = drives_ == Drives::files ? VOLCRYPT_DAEMON_OVER_FILES : VOLCRYPT_DAEMON;
  pid_ = execute({program, "--config", file}, path("out"), path("log"));
  for (int i = 0; i < 600; ++i) {
    if (control(answered).status == 0) return;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("volcryptd ended at once: " + log());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw std::runtime_error("volcryptd does not answer: " + log());
}

int Daemon::stop() {
  ::kill(pid_, SIGTERM);
  return wait_for(std::exchange(pid_, -1));
}

void Daemon::kill() {
  ::kill(pid_, SIGKILL);
  wait_for(std::exchange(pid_, -1));
}

CommandResult Daemon::control(std::vector<std::string> words, const std::vector<std::string>& passphrases) const {
  words.insert(words.begin(), {VOLCRYPT_CONTROL, "--socket", path("control.sock")});
  return run_command(std::move(words), passphrases);
}

boost::json::value Daemon::ask(std::vector<std::string> words) const {
  words.insert(words.end(), {"-o", "json"});
  const CommandResult result = control(words);
  if (result.status != 0)
    throw std::runtime_error("volcryptctl ended with " + std::to_string(result.status) + ": " + result.err);
  return boost::json::parse(result.out);
}

std::vector<std::string> Daemon::init_words() const {
  std::vector<std::string> words = {"cluster",          "init",
                                    "--name",           "test",
                                    "--authority-file", path("authority.json"),
                                    "--recovery-file",  path("recovery.json")};
  if (tcti_ == "none") words.emplace_back("--without-tpm");
  return words;
}

CommandResult Daemon::init(const std::vector<std::string>& more) const {
  std::vector<std::string> words = init_words();
  words.insert(words.end(), more.begin(), more.end());
  return control(words, {authority_passphrase, recovery_passphrase});
}

}  // namespace volcrypt::test
