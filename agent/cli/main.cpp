// volcryptctl: parses, runs one verb, and tells what went wrong as one line with a way out. Secrets get locked memory,
// and the process leaves no core file. Everything else is in the verbs.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "agent/cli/command_line.hpp"
#include "dmtarget/secret.hpp"

namespace {

using volcrypt::cli::ExitStatus;

constexpr std::size_t secret_memory = 64 * 1024;  // bytes: passphrases, two private keys, one DEK

void keep_secrets_out_of_cores() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

ExitStatus complain(const std::string& text, ExitStatus status) {
  std::fprintf(stderr, "volcryptctl: %s\n", text.c_str());
  return status;
}

ExitStatus run(const volcrypt::cli::Invocation& invocation) {
  try {
    volcrypt::reserve_secret_memory(secret_memory);
    volcrypt::cli::Session session(invocation.settings);
    return invocation.verb(session);
  } catch (const volcrypt::cli::Failure& failure) {
    return complain(failure.what(), failure.status());
  } catch (const volcrypt::Error& error) {
    return complain(error.what(), volcrypt::cli::exit_status_of(volcrypt::errc_name(error.code()), 0));
  } catch (const std::exception& error) {
    return complain(std::string("cannot go on: ") + error.what() + ".", ExitStatus::failed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_secrets_out_of_cores();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write(2), told like any other
  const auto parsed = volcrypt::cli::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (parsed.invocation) return static_cast<int>(run(*parsed.invocation));
  std::fputs(parsed.text.c_str(), parsed.status == ExitStatus::done ? stdout : stderr);
  return static_cast<int>(parsed.status);
}
