// See server.hpp.
#include "tests/vm/server.hpp"

#include <boost/json/parse.hpp>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace volcrypt::test {

void Transcript::chapter(const std::string& title) {
  out_ << "\n== " << ++chapters_ << ". " << title << "\n" << std::flush;
}

void Transcript::say(const std::string& sentence) { out_ << "   " << sentence << "\n" << std::flush; }

void Transcript::command(const std::string& line, const std::string& output) {
  out_ << "   # " << line << "\n";
  std::istringstream lines(output);
  for (std::string text; std::getline(lines, text);) out_ << "     " << text << "\n";
  out_ << std::flush;
}

std::string Server::show(const std::string& line, std::chrono::seconds deadline) {
  const auto outcome = machine.run(Command{.line = line, .input = {}, .deadline = deadline});
  transcript_.command(line, outcome.out + outcome.err);
  if (outcome.exit_code != 0) {
    throw std::runtime_error("exit code " + std::to_string(outcome.exit_code) + " of: " + line + "\n" + outcome.out +
                             outcome.err);
  }
  return outcome.out;
}

std::string Server::show_refusal(const std::string& line) {
  const auto outcome = machine.run(line);
  transcript_.command(line, outcome.out + outcome.err);
  if (outcome.exit_code == 0) throw std::runtime_error("was expected to be refused: " + line + "\n" + outcome.out);
  return outcome.out + outcome.err;
}

void Server::install_package() {
  machine.put(debian_package(), "/root/volcrypt.deb");
  show("dpkg -i /root/volcrypt.deb 2>&1 | tail -n 3; systemctl is-active volcryptd.service");
}

void Server::make_cluster(Protection protection) {
  const std::string tpm = protection == Protection::tpm ? "" : " --without-tpm";
  show(
      "volcryptctl --passphrase-fd 3 --passphrase-fd 4 cluster init --name demo --authority-file /root/authority.json"
      " --recovery-file /root/recovery.json" +
      tpm + passphrase_on(3, authority_passphrase) + passphrase_on(4, recovery_passphrase));
  show("volcryptctl enable feature-flag cluster-encryption");
  const std::string kind = protection == Protection::tpm ? "tpm" : "software";
  show("volcryptctl enable cluster-encryption --check --protection " + kind);
  show("volcryptctl enable cluster-encryption --protection " + kind);
}

boost::json::value Server::ask(const std::string& arguments) {
  return boost::json::parse(machine.must("volcryptctl -o json " + arguments));
}

std::string Server::condition(const std::string& volume) {
  return std::string(ask("get volume " + volume).at("state").as_string());
}

std::string Server::failed_units() {
  return machine.must(
      "systemctl --failed --no-legend --plain | while read -r unit rest; do systemctl status --no-pager -n 50 "
      "\"$unit\" || true; "
      "done");
}

long Server::resident_kibibytes() {
  const std::string status =
      show("grep -E 'VmRSS|VmHWM|VmLck' /proc/$(systemctl show -p MainPID --value volcryptd.service)/status");
  return std::stol(status.substr(status.find("VmRSS:") + 6));
}

void Server::check_that_no_keyring_has_a_volume_key() {
  const std::string seen = "grep -q cryptsetup: /proc/keys";
  if (machine.run(seen).exit_code != 1) throw std::runtime_error("a volume's key is in a keyring");
  machine.put(VOLCRYPT_KEY_HOLDER, "/root/key_holder");
  machine.must("chmod 755 /root/key_holder; systemd-run --quiet --unit=key-holder /root/key_holder cryptsetup:control");
  machine.eventually(seen);
  machine.must("systemctl stop key-holder.service");
  machine.eventually("! " + seen);
}

void Server::await_condition(const std::string& volume, const std::string& wanted, std::chrono::seconds deadline) {
  machine.eventually(
      "volcryptctl -o json get volume " + volume + " | tr -d ' \\n' | grep -q '\"state\":\"" + wanted + "\"'",
      deadline);
}

std::string passphrase_on(int descriptor, std::string_view passphrase) {
  return " " + std::to_string(descriptor) + "<<<'" + std::string(passphrase) + "'";
}

std::filesystem::path debian_package() {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(VOLCRYPT_BUILD_DIRECTORY)) {
    if (entry.path().extension() != ".deb") continue;
    if (!found.empty()) throw std::runtime_error("two packages in " VOLCRYPT_BUILD_DIRECTORY "; remove the older one");
    found = entry.path();
  }
  if (found.empty()) throw std::runtime_error("no Debian package in " VOLCRYPT_BUILD_DIRECTORY ": run scripts/build");
  return found;
}

}  // namespace volcrypt::test
