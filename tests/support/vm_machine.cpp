// QEMU's command line and the life of its process.
#include "tests/support/vm_machine.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace fs = std::filesystem;
namespace json = boost::json;

namespace volcrypt::test {
namespace {

using namespace std::chrono_literals;

// Emulated, on two busy cores, a boot takes 15 to 60 s.
constexpr auto boot_limit = 300s;

// What udev would load for this model of a machine and no test needs: an emulated boot with the installation takes an
// eighth less without.
constexpr const char* no_drivers =
    "kvm_amd,kvm,powernow_k8,acpi_cpufreq,rapl,ccp,pcspkr,psmouse,serio_raw,evdev,iTCO_wdt,i2c_i801,ahci,sg,"
    "sha512_ssse3,sha256_ssse3,sha1_ssse3,ghash_clmulni_intel,crc32_pclmul";

// KVM, where the processor itself virtualises. A nested KVM may offer /dev/kvm without that (kvm-pvm): it is slower
// than emulation, and guests stop in it.
bool kvm_usable() {
  std::ifstream file("/proc/cpuinfo");
  const std::string processors((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (processors.find(" vmx ") == std::string::npos && processors.find(" svm ") == std::string::npos) return false;
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm >= 0) ::close(kvm);
  return kvm >= 0;
}

std::string read_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error("cannot read " + path.string());
  return line;
}

ChildProcess start_tpm(const fs::path& directory, Deadline deadline) {
  const fs::path log = directory / "qemu.log";
  ChildProcess tpm({"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + (directory / "tpm").string(), "--ctrl",
                    "type=unixio,path=" + (directory / "tpm.sock").string(), "--flags", "startup-clear"},
                   log);
  while (!fs::exists(directory / "tpm.sock")) {
    if (!tpm.running() || std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("swtpm did not start: " + log.string());
    ::usleep(10'000);
  }
  return tpm;
}

std::string device_id(const Drive& drive) { return "drive-" + drive.serial(); }

}  // namespace

struct Machine::Running {
  // In this order: QEMU ends first, then its TPM.
  std::optional<ChildProcess> tpm;
  ChildProcess qemu;
  std::optional<Monitor> monitor;
  std::optional<Guest> guest;
  bool shared = false;  // the host's directory is mounted in the guest
};

Machine::Machine(MachineSpec spec) : spec_(std::move(spec)) {
  std::string image = run_on_host({VOLCRYPT_VM_IMAGE});
  image.erase(image.find_last_not_of('\n') + 1);
  image_ = image;
  fs::create_directory(directory_.path() / "tpm");
  fs::create_directory(directory_.path() / "share");
  run_on_host({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", (image_ / "base.img").string(),
               (directory_.path() / "root.qcow2").string()});
}

Machine::~Machine() = default;

Drive& Machine::new_drive(const std::string& serial, DriveShape shape) {
  return drives_.emplace_back(directory_.path(), serial, shape);
}

Drive& Machine::copy_drive(const Drive& original, const std::string& serial) {
  return drives_.emplace_back(original, serial);
}

std::vector<std::string> Machine::qemu_command() const {
  const std::string directory = directory_.path().string();
  const bool kvm = kvm_usable();
  std::vector<std::string> words{
      "qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-M", "q35",
      // The model with everything: AES and SHA instructions are emulated by the host's own.
      "-cpu", "max", "-accel", kvm ? "kvm" : "tcg,thread=multi", "-smp", "2", "-m", std::to_string(spec_.mebibytes),
      // The initrd by hand, at the address that cmdline names: see scripts/vm-image.
      "-kernel", (image_ / "vmlinux").string(), "-device",
      "loader,file=" + (image_ / "initrd.img").string() + ",addr=0x20000000,force-raw=on", "-append",
      read_line(image_ / "cmdline") + " modprobe.blacklist=" + no_drivers + " " + spec_.kernel_arguments,
      // Root, and the controller of the data drives. SCSI, not virtio-blk: a drive disappears at once, without the
      // guest's consent.
      "-drive", "file=" + directory + "/root.qcow2,if=none,id=root,cache=writeback", "-device",
      "virtio-blk-pci,drive=root", "-device", "virtio-scsi-pci,id=scsi",
      // Console, guest agent, monitor, files
      "-chardev",
      "socket,id=console,path=" + console_socket().string() +
          ",server=on,wait=off,logfile=" + fs::absolute(spec_.name).string() + ".console.log,logappend=on",
      "-serial", "chardev:console", "-device", "virtio-serial-pci", "-chardev",
      "socket,id=agent,path=" + directory + "/agent.sock,server=on,wait=off", "-device",
      "virtserialport,chardev=agent,name=org.qemu.guest_agent.0", "-qmp",
      "unix:" + directory + "/qmp.sock,server=on,wait=off", "-virtfs",
      "local,path=" + directory + "/share,mount_tag=host,security_model=none", "-S"};
  if (spec_.tpm == Tpm::present)
    words.insert(words.end(), {"-chardev", "socket,id=tpm,path=" + directory + "/tpm.sock", "-tpmdev",
                               "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"});
  return words;
}

std::string Machine::start() {
  start_without_settling();
  return settle();
}

void Machine::start_without_settling() {
  if (running()) throw std::logic_error("the machine runs already");
  const auto deadline = after(boot_limit);
  const fs::path directory = directory_.path();
  const fs::path log = directory / "qemu.log";
  for (const auto* socket : {"tpm.sock", "agent.sock", "qmp.sock", "console.sock"}) fs::remove(directory / socket);

  std::optional<ChildProcess> tpm =
      spec_.tpm == Tpm::present ? std::optional(start_tpm(directory, deadline)) : std::nullopt;
  running_.reset(new Running{std::move(tpm), ChildProcess(qemu_command(), log), {}, {}});
  try {
    running_->monitor.emplace(directory / "qmp.sock", after(30s));
    for (const auto& [serial, drive] : plugged_) plug_into_running(*drive);
    running_->monitor->execute("cont");
    running_->guest.emplace(directory / "agent.sock", deadline);
  } catch (const std::exception& failure) {
    std::ifstream file(log);
    const std::string words((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    running_.reset();
    throw std::runtime_error("machine " + spec_.name + " did not start: " + failure.what() + "\n" + words +
                             "its console: " + fs::absolute(spec_.name).string() + ".console.log");
  }
}

std::string Machine::settle() {
  std::string state = run(Command{.line = "systemctl is-system-running --wait; udevadm settle --timeout=120",
                                  .input = {},
                                  .deadline = boot_limit})
                          .out;
  state.erase(state.find_last_not_of('\n') + 1);
  return state;
}

Machine::Running& Machine::on() {
  if (!running()) throw std::runtime_error("machine " + spec_.name + " is off");
  return *running_;
}

bool Machine::running() {
  if (running_ && !running_->qemu.running()) running_.reset();
  return running_ != nullptr;
}

void Machine::plug_into_running(const Drive& drive) {
  const std::string id = device_id(drive);
  Monitor& monitor = *running_->monitor;
  monitor.execute("blockdev-add", {{"driver", "raw"},
                                   {"node-name", id},
                                   {"discard", "unmap"},
                                   {"file", {{"driver", "file"}, {"filename", drive.file().string()}}}});
  monitor.execute("device_add", {{"driver", "scsi-hd"},
                                 {"bus", "scsi.0"},
                                 {"id", id},
                                 {"drive", id},
                                 {"serial", drive.serial()},
                                 {"rotation_rate", 1},  // SCSI's word for a drive without rotating parts
                                 {"logical_block_size", drive.shape().logical_block_bytes},
                                 {"physical_block_size", 4096}});
}

void Machine::plug(const Drive& drive) {
  if (!plugged_.emplace(drive.serial(), &drive).second) return;
  if (running()) plug_into_running(drive);
}

void Machine::pull(const Drive& drive) {
  if (plugged_.erase(drive.serial()) == 0 || !running()) return;
  const std::string id = device_id(drive);
  running_->monitor->execute("device_del", {{"id", id}});
  running_->monitor->wait_until_deleted(id, after(30s));
  running_->monitor->execute("blockdev-del", {{"node-name", id}});
}

void Machine::power_cut() {
  if (running_) running_->qemu.kill();
  running_.reset();
}

void Machine::shutdown() {
  on().guest->send_only("systemctl poweroff");
  if (!running_->qemu.wait(120s)) throw TimedOut("machine " + spec_.name + " did not power off within 120 s");
  running_.reset();
}

std::string Machine::reboot() {
  shutdown();
  return start();
}

void Machine::replace_tpm() {
  if (running()) throw std::logic_error("the TPM of a running machine cannot be replaced");
  fs::remove_all(directory_.path() / "tpm");
  fs::create_directory(directory_.path() / "tpm");
}

Outcome Machine::run(const Command& command) { return on().guest->run(command); }

std::string Machine::must(const Command& command) {
  const Outcome outcome = run(command);
  if (outcome.exit_code != 0)
    throw std::runtime_error("in machine " + spec_.name + ": " + command.line + "\nexit code " +
                             std::to_string(outcome.exit_code) + "\n" + outcome.out + outcome.err);
  return outcome.out;
}

std::string Machine::eventually(const std::string& line, std::chrono::seconds deadline) {
  const auto end = after(deadline);
  for (;;) {
    const Outcome outcome = run(line);
    if (outcome.exit_code == 0) return outcome.out;
    if (std::chrono::steady_clock::now() > end)
      throw TimedOut("in machine " + spec_.name + ", for " + std::to_string(deadline.count()) + " s in vain: " + line +
                     "\n" + outcome.out + outcome.err);
    ::usleep(200'000);
  }
}

void Machine::put(const fs::path& host_file, const std::string& guest_file) {
  if (!on().shared)
    must("mkdir -p /run/host && mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 host /run/host");
  running_->shared = true;
  const fs::path passage = directory_.path() / "share" / host_file.filename();
  fs::copy_file(host_file, passage, fs::copy_options::overwrite_existing);
  must("cp /run/host/'" + host_file.filename().string() + "' '" + guest_file + "'");
  fs::remove(passage);
}

void Machine::fetch(const std::string& guest_file, const fs::path& host_file) {
  const Outcome content = run("cat '" + guest_file + "'");
  if (content.exit_code != 0) throw std::runtime_error("in machine " + spec_.name + ": " + content.err);
  std::ofstream file(host_file, std::ios::binary | std::ios::trunc);
  if (!(file << content.out).flush()) throw std::runtime_error("cannot write " + host_file.string());
}

}  // namespace volcrypt::test
