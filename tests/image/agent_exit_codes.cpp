// The exit codes of volcryptctl, as its manual page lists them: each is provoked by a process, in each of the meanings
// that the page gives it; and none is missing there.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/daemon_checks.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::Drives;
using test::must_succeed;
using Words = std::vector<std::string>;

// The table under EXIT STATUS: code to meaning.
std::map<int, std::string> manual() {
  std::ifstream page(VOLCRYPT_MANUAL);
  std::map<int, std::string> meanings;
  bool here = false;
  int code = -1;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("# ")) here = line == "# EXIT STATUS";
    if (!here) continue;
    if (const auto star = line.find('*'); line.starts_with("|") && star != std::string::npos)
      code = std::stoi(line.substr(star + 1));
    else if (line.starts_with(":") && code >= 0)
      meanings[code] = line.substr(line.find_first_not_of(":< "));
  }
  return meanings;
}

class Codes {
 public:
  // `meaning`: words of the manual page's entry for `code`, which this run is an example of.
  void check(int code, const std::string& meaning, const CommandResult& result) {
    BOOST_TEST_CONTEXT(code << " " << meaning << ": " << result.out << result.err) {
      BOOST_TEST(result.status == code);
      BOOST_TEST((result.err.find("volcryptctl: ") != std::string::npos) == (code != 0), "one line says why");
      BOOST_TEST(meanings_[code].find(meaning) != std::string::npos, "the manual page does not say so");
    }
    seen_.insert(code);
  }
  std::set<int> seen() const { return seen_; }

 private:
  std::map<int, std::string> meanings_ = manual();
  std::set<int> seen_;
};

std::set<int> in_the_manual() {
  std::set<int> codes;
  for (const auto& [code, meaning] : manual()) codes.insert(code);
  return codes;
}

// volcryptctl as somebody who is neither root nor in the group, on a socket that lets everybody connect, or nobody.
CommandResult as_stranger(const Daemon& daemon, mode_t socket_mode) {
  const std::string program = daemon.path("volcryptctl");  // where others may execute it
  std::filesystem::copy_file(VOLCRYPT_CONTROL, program, std::filesystem::copy_options::overwrite_existing);
  ::chmod(program.c_str(), 0755);
  ::chmod(daemon.path("").c_str(), 0755);
  ::chmod(daemon.path("control.sock").c_str(), socket_mode);
  return test::run_command({"/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program,
                            "--socket", daemon.path("control.sock"), "get", "volumes"},
                           {});
}

void foreign_content(const std::string& file) {
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary) << std::string(65536, 'x');
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_exit_codes)

BOOST_AUTO_TEST_CASE(every_code_of_the_manual_page_comes_from_a_process) {
  Codes codes;
  Daemon daemon("none", Drives::files);
  const auto ctl = [&](const Words& words, const Words& passphrases = {}) {
    return daemon.control(words, passphrases);
  };

  codes.check(2, "unusable passphrase", ctl(daemon.init_words(), {"short", "short"}));
  must_succeed(daemon.init());
  codes.check(4, "not enabled", ctl({"create", "volume", "data1", "--device", daemon.plug("vda")}));
  must_succeed(ctl({"enable", "feature-flag", "cluster-encryption"}));
  must_succeed(ctl({"enable", "cluster-encryption", "--protection", "software"}));
  codes.check(0, "nothing had to be done", ctl({"enable", "cluster-encryption", "--protection", "software"}));
  const std::string device = daemon.plug("vdb");
  codes.check(0, "done", ctl({"create", "volume", "data1", "--device", device}));

  codes.check(1, "failed", ctl({"recovery", "export", "--output", daemon.path("no-such-folder/bundle")}));

  codes.check(2, "wrong words", ctl({"enable", "everything"}));
  codes.check(2, "a value that the agent does not accept", ctl({"get", "volume", "no good name"}));

  codes.check(4, "name taken", ctl({"create", "volume", "data1", "--device", daemon.path("drives/vda")}));
  const std::string full = daemon.plug("vdc");
  foreign_content(full);
  codes.check(4, "not blank", ctl({"create", "volume", "data2", "--device", full}));
  must_succeed(ctl({"recovery", "export", "--output", daemon.path("bundle")}));
  codes.check(4, "exists already", ctl({"recovery", "export", "--output", daemon.path("bundle")}));

  codes.check(5, "no such volume", ctl({"attach", "data9"}));
  for (const Words& words : {Words{"create", "volume", "data9"}, {"attach"}, {"header", "restore", "data1"}}) {
    Words all = words;
    all.insert(all.end(), {"--device", daemon.path("drives/none")});
    codes.check(5, "device", ctl(all));
  }
  codes.check(5, "file", ctl({"header", "restore", "data1", "--device", device, "--input", daemon.path("none")}));

  const Words verify{"recovery", "verify", "--recovery-file", daemon.path("recovery.json")};
  codes.check(7, "wrong passphrase", ctl(verify, {"another passphrase"}));
  codes.check(
      7, "wrong key",
      ctl({"recovery", "verify", "--recovery-file", daemon.path("authority.json")}, {test::authority_passphrase}));

  codes.check(9, "not of this cluster", ctl({"attach", "--device", full}));

  daemon.hold("rewrap");
  codes.check(8, "timed out", ctl({"rotate", "cluster-root-key", "--wait", "--timeout", "1"}));
  daemon.let_go("rewrap");
  daemon.stop();
  daemon.hold("attach");
  daemon.start();
  codes.check(8, "timed out", ctl({"settle", "--timeout", "0"}));
  daemon.let_go("attach");

  const Daemon without_tpm("device:/no/such/tpm");
  codes.check(10, "absent", without_tpm.init());

  Daemon stopped("none");
  stopped.stop();
  codes.check(3, "no agent answers", stopped.control({"get", "volumes"}));

  if (::geteuid() == 0) {
    codes.check(6, "not root", as_stranger(daemon, 0660));
    codes.check(6, "not in group volcrypt", as_stranger(daemon, 0666));
  }
  std::set<int> expected = in_the_manual();
  if (::geteuid() != 0) expected.erase(6);
  BOOST_TEST(codes.seen() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
