// The command line: words to a verb with its options. The only user of CLI11. Nothing runs here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/cli/session.hpp"

namespace volcrypt::cli {

struct Invocation {
  Settings settings;
  std::function<ExitStatus(Session&)> verb;
};

// Either a verb to run, or text that is already the whole answer (--help, --version, a mistake) with its exit code:
// done to standard output, usage to standard error.
struct Parsed {
  std::optional<Invocation> invocation;
  std::string text;
  ExitStatus status = ExitStatus::done;
};

Parsed parse_command_line(const std::vector<std::string>& words);  // without the program's name

// The bash completion script (volcryptctl.bash), as `completion bash` prints it.
extern const char* const bash_completion;

}  // namespace volcrypt::cli
