// A virtual machine with a TPM 2.0 (swtpm) and drives that can be plugged and pulled while it runs: the server of the
// vm tier and of the demo. It boots Debian 12 from the image of scripts/vm-image; its root file system is an overlay
// that is kept from boot to boot and removed with the machine. KVM where usable, software emulation elsewhere. Used by
// one thread, the main one.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/vm_drive.hpp"
#include "tests/support/vm_guest.hpp"
#include "tests/support/vm_monitor.hpp"
#include "tests/support/vm_process.hpp"

namespace volcrypt::test {

enum class Tpm { present, none };

struct MachineSpec {
  std::string name;  // names the console's log, NAME.console.log, in the current directory
  unsigned mebibytes = 1024;
  std::string kernel_arguments = {};
  Tpm tpm = Tpm::present;
};

class Machine {
 public:
  explicit Machine(MachineSpec spec);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();  // a power cut, when it still runs

  // A new blank drive in this machine's directory, not plugged. It lives as long as the machine.
  Drive& new_drive(const std::string& serial, DriveShape shape = {});
  Drive& copy_drive(const Drive& original, const std::string& serial);

  // Plugs a drive: at once when the machine runs, else it is there at the next start. Idempotent.
  void plug(const Drive& drive);
  // Pulls it without a word to the guest, as a hand does. Requests under way fail. Idempotent.
  void pull(const Drive& drive);

  // Boots, and returns when systemd has run all jobs of the boot and udev has seen all devices: "running", or
  // "degraded" when a unit failed.
  std::string start();
  // Boots without waiting for more than the guest agent.
  void start_without_settling();
  std::string settle();

  // The end of the machine's process by SIGKILL, with its TPM: no sync, no TPM2_Shutdown. What the guest has not
  // flushed is lost.
  void power_cut();
  // An orderly power-off.
  void shutdown();
  // shutdown() and start().
  std::string reboot();
  bool running();

  // A new, empty TPM in the place of the old one, as a replaced board has it. Only while the machine is off.
  void replace_tpm();

  // A bash command line in the guest. run gives every outcome; must gives standard output, or throws with everything
  // when the command failed.
  Outcome run(const Command& command);
  Outcome run(const std::string& line) { return run(Command{.line = line, .input = {}}); }
  std::string must(const Command& command);
  std::string must(const std::string& line) { return must(Command{.line = line, .input = {}}); }
  // Repeats the command until it succeeds; throws with its last outcome at the deadline. Gives the output.
  std::string eventually(const std::string& line, std::chrono::seconds deadline = std::chrono::seconds{60});

  // Copies a file of the host into the guest, and back.
  void put(const std::filesystem::path& host_file, const std::string& guest_file);
  void fetch(const std::string& guest_file, const std::filesystem::path& host_file);

  // The serial console: a unix socket for a terminal, root is logged in.
  std::filesystem::path console_socket() const { return directory_.path() / "console.sock"; }
  const std::filesystem::path& directory() const noexcept { return directory_.path(); }
  MachineSpec& spec() noexcept { return spec_; }  // a change takes effect at the next start

 private:
  struct Running;  // what exists while the machine is on
  Running& on();
  std::vector<std::string> qemu_command() const;
  void plug_into_running(const Drive& drive);

  WorkDirectory directory_;
  MachineSpec spec_;
  std::filesystem::path image_;
  std::list<Drive> drives_;
  std::map<std::string, const Drive*> plugged_;
  std::unique_ptr<Running> running_;
};

}  // namespace volcrypt::test
