// systemd reads our units as written: `systemd-analyze verify` in a root of its own, made of the host's units and ours,
// says nothing and finds no ordering cycle; the hardening keeps its score and has its reasons. The programs in that
// root are empty: only their presence is checked.
#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

class Root {
 public:
  Root() {
    std::string pattern = fs::temp_directory_path() / "volcrypt-units-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
    path_ = pattern;
    const fs::path units = path_ / "usr/lib/systemd/system";
    fs::create_directories(units);
    fs::create_directory_symlink("usr/lib", path_ / "lib");
    fs::create_directory_symlink("usr/bin", path_ / "bin");
    fs::copy("/lib/systemd/system", units, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    for (const auto& entry : fs::directory_iterator(VOLCRYPT_UNITS)) {
      const auto kind = entry.path().extension();
      if (kind == ".service" || kind == ".target" || kind == ".timer")
        fs::copy_file(entry.path(), units / entry.path().filename(), fs::copy_options::overwrite_existing);
    }
    for (const auto* program : {"usr/sbin/volcryptd", "usr/bin/volcryptctl", "usr/bin/mkdir"}) {
      fs::create_directories((path_ / program).parent_path());
      std::ofstream(path_ / program) << "#!/bin/sh\n";
      fs::permissions(path_ / program, fs::perms::owner_all);
    }
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Told {
  int exit_code;
  std::string text;  // both outputs
};

Told ask(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string text;
  for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  return {WEXITSTATUS(::pclose(pipe)), text};
}

// Our units, line by line: the section a line stands in, and whether a comment is directly above.
struct Line {
  std::string unit, section, key, value;
  bool has_reason = false;
};

std::vector<Line> lines_of_all_units() {
  std::vector<Line> lines;
  for (const auto& entry : fs::directory_iterator(VOLCRYPT_UNITS)) {
    if (entry.path().extension() != ".service" && entry.path().extension() != ".target") continue;
    std::ifstream unit(entry.path());
    std::string section;
    bool is_below_comment = false;
    for (std::string text; std::getline(unit, text); is_below_comment = text.starts_with('#')) {
      if (text.starts_with('[')) section = text;
      const auto equals = text.find('=');
      if (text.starts_with('#') || equals == std::string::npos) continue;
      lines.push_back(
          {entry.path().filename(), section, text.substr(0, equals), text.substr(equals + 1), is_below_comment});
    }
  }
  return lines;
}

// What runs, when, and where its directories are. Every other setting of a service restricts it.
const std::set<std::string> no_hardening = {"Type",
                                            "NotifyAccess",
                                            "ExecStart",
                                            "RemainAfterExit",
                                            "WatchdogSec",
                                            "TimeoutStartSec",
                                            "TimeoutStopSec",
                                            "Restart",
                                            "RestartSec",
                                            "RestartPreventExitStatus",
                                            "KillMode",
                                            "ConfigurationDirectory",
                                            "StateDirectory",
                                            "RuntimeDirectory",
                                            "RuntimeDirectoryPreserve"};

const std::string all_units =
    " volcryptd.service volcrypt-settle.service volcrypt.target volcrypt-attach@dev-sda.service "
    "volcrypt-rotate.service volcrypt-rotate.timer local-fs.target";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(systemd_units, Root)

BOOST_AUTO_TEST_CASE(systemd_reads_every_unit_without_a_word) {
  const auto told = ask("systemd-analyze verify --man=no --root=" + path().string() + all_units);
  BOOST_TEST(told.exit_code == 0);
  BOOST_TEST(told.text == "");
}

BOOST_AUTO_TEST_CASE(a_mistake_in_a_unit_would_be_told) {
  std::ofstream(path() / "usr/lib/systemd/system/volcryptd.service", std::ios::app) << "NoSuchSetting=yes\n";
  BOOST_TEST(ask("systemd-analyze verify --man=no --root=" + path().string() + all_units).text.find("NoSuchSetting") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_cycle_between_mounts_and_the_agent_would_be_told) {
  // What PrivateTmp=yes would do: after systemd-tmpfiles-setup.service, which comes after local-fs.target.
  fs::create_directories(path() / "etc/systemd/system/sysinit.target.wants");
  fs::create_symlink("/usr/lib/systemd/system/volcryptd.service",
                     path() / "etc/systemd/system/sysinit.target.wants/volcryptd.service");
  const std::string verify = "systemd-analyze verify --man=no --root=" + path().string() + " sysinit.target";
  BOOST_TEST(ask(verify).text.find("ordering cycle") == std::string::npos);
  const fs::path drop_in = path() / "etc/systemd/system/volcryptd.service.d";
  fs::create_directories(drop_in);
  std::ofstream(drop_in / "tmp.conf") << "[Service]\nPrivateTmp=yes\n";
  BOOST_TEST(ask(verify).text.find("ordering cycle") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_hardening_keeps_its_score) {
  // Tenths, as systemd-analyze counts them: 31 stands in systemd/README.md.
  const auto told = ask("systemd-analyze security --no-pager --offline=true --threshold=31 --root=" + path().string() +
                        " volcryptd.service");
  BOOST_TEST(told.exit_code == 0, told.text);
  BOOST_TEST(told.text.find("CAP_SYS_ADMIN") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(each_hardening_setting_has_its_reason_above_it) {
  unsigned settings = 0;
  for (const Line& line : lines_of_all_units()) {
    if (line.section != "[Service]" || no_hardening.contains(line.key)) continue;
    ++settings;
    BOOST_TEST(line.has_reason, line.unit << ": " << line.key << "=" << line.value);
  }
  BOOST_TEST(settings > 40u);
}

// Neither network.target, network-online.target and their services, nor what waits for them; in no kind of dependency.
BOOST_AUTO_TEST_CASE(no_unit_depends_on_the_network) {
  unsigned dependencies = 0;
  for (const Line& line : lines_of_all_units()) {
    if (line.section == "[Service]" || line.key == "Description" || line.key == "Documentation") continue;
    ++dependencies;
    for (const auto* word : {"network", "remote", "nss-lookup", "time-sync"})
      BOOST_TEST(line.value.find(word) == std::string::npos, line.unit << ": " << line.key << "=" << line.value);
  }
  BOOST_TEST(dependencies > 20u);
}

BOOST_AUTO_TEST_SUITE_END()
