// Showing results.
#include "agent/cli/session.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace volcrypt::cli {

void Session::show(const json::value& value, const std::string& human) const {
  switch (format) {
    case Format::json:
      return print(to_pretty_json(value));
    case Format::yaml:
      return print(to_yaml(value));
    case Format::human:
    case Format::names:
      return print(human);
  }
}

void Session::note(const std::string& line) const { std::fprintf(stderr, "%s\n", line.c_str()); }

std::size_t Session::columns() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::max<std::size_t>(size.ws_col, 20);
}

bool Session::watched() const { return ::isatty(STDERR_FILENO) == 1; }

std::vector<std::uint32_t> parse_pcrs(const std::string& text) {
  std::vector<std::uint32_t> pcrs;
  if (text == "none") return pcrs;
  const auto refuse = [&] {
    return Failure(ExitStatus::usage, "cannot read the PCRs " + text +
                                          ": not a list of numbers from 0 to 15. Give for example 7 or 7,14, or none.");
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    std::uint32_t pcr = 0;
    const auto [stopped, failed] = std::from_chars(text.data() + begin, text.data() + end, pcr);
    if (failed != std::errc() || stopped != text.data() + end || pcr > 15) throw refuse();
    pcrs.push_back(pcr);
    begin = end + 1;
  }
  std::sort(pcrs.begin(), pcrs.end());
  pcrs.erase(std::unique(pcrs.begin(), pcrs.end()), pcrs.end());
  return pcrs;
}

}  // namespace volcrypt::cli
