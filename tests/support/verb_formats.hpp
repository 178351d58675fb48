// One verb of volcryptctl as table, JSON and YAML: the three say the same. For the tests of verbs as processes.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/daemon.hpp"

namespace volcrypt::test {

struct Told {
  std::string table;
  boost::json::value document;  // of -o json
  std::string error;            // standard error, the same in each format
};

using Words = std::vector<std::string>;

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// `run` gets the words of the format and brings the verb to its end, each time from the same state. Checked are the
// exit status, that JSON and YAML have the same form, and that a failure has the same line in each. What prints nothing
// has no document.
Told in_all_formats(const std::function<CommandResult(const Words& format)>& run, int status = 0);

// The verb `words` of `daemon`, each time from where `prepare` leads.
struct Circumstances {
  std::function<void()> prepare = [] {};
  Words passphrases = {};
  int status = 0;
};
Told in_all_formats(const Daemon& daemon, const Words& words, const Circumstances& circumstances = {});

}  // namespace volcrypt::test
