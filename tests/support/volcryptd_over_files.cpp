// volcryptd_over_files: the agent as in volcryptd, but the machine's block devices are the plain files of a folder
// `drives` beside the state directory: headers are real, mappings are in memory (file_devices.hpp) and end with the
// process. A file that is moved in or out is a drive that is plugged or pulled; while a file hold-CALL stands beside
// the folder, that call of Devices does not begin ("hold-rewrap"). The firmware's variables are in `efivars` beside it.
// Tests only.
#include <linux/close_range.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

#include "agent/agent.hpp"
#include "dmtarget/secret.hpp"
#include "tests/support/file_devices.hpp"

namespace {

using volcrypt::test::FileDevices;

// Before each call of the device worker's threads: what is in the folder now.
class Folder {
 public:
  Folder(std::filesystem::path folder, FileDevices& devices) : folder_(std::move(folder)), devices_(devices) {}

  void look(std::string_view call) {
    while (exists(folder_.parent_path() / ("hold-" + std::string(call))))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::lock_guard lock(mutex_);
    std::set<std::string> now;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) now.insert(entry.path());
    for (const std::string& file : now)
      if (!plugged_.contains(file)) devices_.plug(file);
    for (const std::string& file : plugged_)
      if (!now.contains(file)) devices_.unplug(file);
    plugged_ = std::move(now);
  }

 private:
  std::mutex mutex_;
  std::filesystem::path folder_;
  FileDevices& devices_;
  std::set<std::string> plugged_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto read = volcrypt::read_config({argv + 1, argv + argc});
  if (const auto* end = std::get_if<volcrypt::ConfigExit>(&read)) {
    std::fputs(end->text.c_str(), stderr);
    return end->code;
  }
  std::signal(SIGPIPE, SIG_IGN);
  volcrypt::reserve_secret_memory(1 << 20);
  auto config = std::get<volcrypt::Config>(read);
  config.firmware = config.state_directory.parent_path() / "efivars";
  const auto devices = std::make_shared<FileDevices>();
  Folder folder(config.state_directory.parent_path() / "drives", *devices);
  devices->before = [&folder](std::string_view call) { folder.look(call); };
  boost::asio::io_context loop(1);
  volcrypt::Agent agent(loop, config, devices);
  boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&agent](const boost::system::error_code& failure, int) {
    if (!failure) agent.stop();
  });
  if (agent.run() == volcrypt::Agent::Ended::stopped) return 0;
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // libraries that open without it: a TPM has one user at a time
  execv("/proc/self/exe", argv);
  return 1;
}
