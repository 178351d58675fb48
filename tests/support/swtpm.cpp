// See swtpm.hpp.
#include "tests/support/swtpm.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "dmtarget/canonical.hpp"

namespace volcrypt::test {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

std::filesystem::path temporary_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "volcrypt-swtpm-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) fail("mkdtemp");
  return path;
}

bool answers(const std::filesystem::path& socket) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof(address.sun_path) - 1);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

// A context of the test's own, apart from the code under test.
template <class Call>
void with_esys(const std::string& tcti, Call call) {
  TSS2_TCTI_CONTEXT* transport = nullptr;
  if (Tss2_TctiLdr_Initialize(tcti.c_str(), &transport) != TSS2_RC_SUCCESS)
    throw std::runtime_error("no software TPM at " + tcti);
  ESYS_CONTEXT* esys = nullptr;
  const TSS2_RC opened = Esys_Initialize(&esys, transport, nullptr);
  const TSS2_RC result = opened == TSS2_RC_SUCCESS ? call(esys) : opened;
  Esys_Finalize(&esys);
  Tss2_TctiLdr_Finalize(&transport);
  if (result != TSS2_RC_SUCCESS) throw std::runtime_error("the software TPM answered " + std::to_string(result));
}

}  // namespace

Swtpm::Swtpm() : directory_(temporary_directory()) {
  std::filesystem::create_directory(directory_ / "state");
  start();
}

Swtpm::~Swtpm() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string Swtpm::tcti() const { return "swtpm:path=" + socket().string(); }

void Swtpm::start() {
  const std::string server = "type=unixio,path=" + socket().string();
  const std::string control = "type=unixio,path=" + socket().string() + ".ctrl";
  const std::string state = "dir=" + (directory_ / "state").string();
  const std::vector<const char*> argv = {"swtpm",        "socket",  "--tpm2",        "--server",
                                         server.c_str(), "--ctrl",  control.c_str(), "--tpmstate",
                                         state.c_str(),  "--flags", "startup-clear", nullptr};
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execvp("swtpm", const_cast<char* const*>(argv.data()));
    ::_exit(127);
  }
  for (int tries = 0; tries < 500; ++tries) {
    if (answers(socket())) return;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("swtpm did not start (Debian package swtpm)");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("swtpm does not answer");
}

void Swtpm::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  std::error_code ignored;
  std::filesystem::remove(socket(), ignored);
  std::filesystem::remove(socket().string() + ".ctrl", ignored);
}

void Swtpm::power_cycle() {
  stop();
  start();
}

void Swtpm::replace() {
  stop();
  std::filesystem::remove_all(directory_ / "state");
  std::filesystem::create_directory(directory_ / "state");
  start();
}

void Swtpm::clear() {
  with_esys(tcti(), [](ESYS_CONTEXT* esys) {
    return Esys_Clear(esys, ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
  });
}

void Swtpm::extend_pcr(unsigned pcr, const std::string& event) {
  const Digest digest = sha256(as_bytes(event));
  TPML_DIGEST_VALUES values{};
  values.count = 1;
  values.digests[0].hashAlg = TPM2_ALG_SHA256;
  std::memcpy(values.digests[0].digest.sha256, digest.data(), digest.size());
  with_esys(tcti(), [&](ESYS_CONTEXT* esys) {
    return Esys_PCR_Extend(esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values);
  });
}

}  // namespace volcrypt::test
