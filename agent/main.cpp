// volcryptd: hardening of the process, configuration, signals, the agent. Secrets are kept out of core dumps here; swap
// and the rest of the confinement are the unit's (systemd/volcryptd.service).
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "agent/agent.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/dm_devices.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/secret.hpp"

namespace {

constexpr std::size_t secret_memory = 1024 * 1024;  // bytes, locked: group keys and DEKs of several batches

// tpm2-tss writes to standard error what we log once, with cause and way out. An operator may ask for more, but not for
// the levels at which it dumps its buffers: at "trace" group keys stand in them.
void quiet_tpm_library() {
  const char* asked = std::getenv("TSS2_LOG");
  const bool dumps =
      asked != nullptr && (strcasestr(asked, "debug") != nullptr || strcasestr(asked, "trace") != nullptr);
  if (asked == nullptr || dumps) setenv("TSS2_LOG", "all+NONE", 1);
}

void harden() {
  umask(077);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  quiet_tpm_library();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);  // there is nothing to reload: configuration is read at start
  mallopt(M_ARENA_MAX, 2);  // a dozen threads that mostly wait need no arena each
}

int run(volcrypt::Config config, char** arguments) {
  volcrypt::reserve_secret_memory(secret_memory);
  boost::asio::io_context loop(1);
  volcrypt::Agent agent(loop, std::move(config), std::make_shared<volcrypt::volumes::DmDevices>());
  boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&agent](const boost::system::error_code& failure, int) {
    if (!failure) agent.stop();
  });
  if (agent.run() == volcrypt::Agent::Ended::stopped) return EXIT_SUCCESS;
  // Whatever hangs in a worker ends with this program, and nothing secret outlives it; the service manager sees the
  // same process. Returns only when it failed.
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // libraries that open without it: a TPM has one user at a time
  execv("/proc/self/exe", arguments);
  throw volcrypt::Error(volcrypt::errno_code(errno), {"start", "volcryptd anew", "Run: systemctl restart volcryptd"});
}

}  // namespace

int main(int argc, char** argv) {
  const auto read = volcrypt::read_config({argv + 1, argv + argc});
  if (const auto* end = std::get_if<volcrypt::ConfigExit>(&read)) {
    std::fputs(end->text.c_str(), end->code == 0 ? stdout : stderr);
    return end->code;
  }
  harden();
  try {
    return run(std::get<volcrypt::Config>(read), argv);
  } catch (const std::exception& error) {
    volcrypt::runtime::log(volcrypt::runtime::Severity::error, "volcryptd cannot run", {{"cause", error.what()}});
    return EXIT_FAILURE;
  }
}
