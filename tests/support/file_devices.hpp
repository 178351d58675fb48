// FileDevices: Devices over plain files: headers are real (dmtarget on the file), mappings are a table in memory with
// the kernel's rules that matter here. Passes devices_conformance like the real ones do in a virtual machine.
// Thread-safe, as the device worker has several threads.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "agent/volumes/devices.hpp"

namespace volcrypt::test {

class FileDevices final : public volumes::Devices {
 public:
  static constexpr std::uint64_t drive_size = 4 << 20;

  // What the machine does by itself.
  void plug(const std::string& file);
  void unplug(const std::string& file);  // a mapping over it stays, as in the kernel
  void hold(const std::string& name);    // somebody opens /dev/mapper/NAME
  void let_go(const std::string& name);  // and closes it: a deferred removal then happens
  void leave_suspended(const std::string& name);
  void leave_half_made(const std::string& name, const Uuid& volume);
  void map_again(const std::string& name, const std::string& file);  // somebody makes the mapping over another drive
  void break_down(const std::string& file);                          // reads and writes fail with EIO from now on
  void repair(const std::string& file);
  // Calls on it do not come back, until it answers; after `unplug`, those that hang go on to hang, later ones do not.
  void hang(const std::string& file);
  void answer(const std::string& file);
  void answer_all();         // to be called before the end of a test in which something hangs
  std::size_t hung() const;  // calls that hang now
  // Another drive under that name, or (empty) one that tells no WWN or serial number.
  void set_identity(const std::string& file, const std::string& identity);
  void be_busy(bool busy);  // udev has events under way
  std::size_t mapped() const;
  // For tests that come in between; on the worker's thread, without a lock. May throw what the call may.
  std::function<void(std::string_view call)> before, after;

  std::vector<volumes::Candidate> scan() override;
  std::vector<volumes::DriveFacts> drives() override;
  volumes::DriveFacts facts(const std::string& file) const;  // as udev has them
  bool quiet() override;
  bool present(dev_t number) override;
  volumes::Sighting look(const std::string& device) override;
  volumes::HeaderArea header_area(const std::string& device) override;
  std::vector<dm::Mapping> mappings() override;
  dm::Description describe(const std::string& device, dm::Discards discards) override;
  void check_formattable(const std::string& device, dm::ExistingData existing) override;
  void create(const std::string& device, const dm::Token& token, const Secret& key, dm::ExistingData existing) override;
  dm::Changed attach(const std::string& device, const dm::Token& proved, const Secret& key) override;
  dm::Changed detach(const std::string& name) override;
  dm::Changed repair_header(const std::string& device, const dm::Token& proved, const Secret& key) override;
  dm::Changed rewrap(const std::string& device, const dm::Token& token) override;
  dm::Changed take_back(const std::string& device, const dm::Rewrap& rewrap) override;
  void verify_key(const std::string& device, const Secret& key) override;
  void erase(const std::string& device, const Uuid& volume) override;
  Bytes backup_header(const std::string& device) override;
  void restore_header(const std::string& device, ByteView backup, const Uuid& expected) override;
  void resume(const std::string& name) override;
  dm::Removal remove(const std::string& name) override;
  dm::Removal remove_dead(const std::string& name) override;

 private:
  static dev_t number_of(const std::string& file);
  void must_answer(const std::string& device) const;
  template <class Call>
  auto step(std::string_view name, Call call);

  mutable std::mutex mutex_;
  std::set<std::string> plugged_, broken_;
  std::map<std::string, dm::Mapping> live_;
  std::map<std::string, int> users_;
  std::set<std::string> deferred_;
  std::map<std::string, std::string> identities_;
  std::map<std::string, std::uint64_t> hangs_;  // by file: which hang
  std::set<std::uint64_t> lasting_;             // hangs that are not over
  std::uint64_t next_hang_ = 1;
  mutable std::size_t hung_ = 0;
  mutable std::condition_variable answered_;
  bool busy_ = false;
};

// A sparse file that is large enough for a header and data.
std::string make_drive(const std::string& directory, const std::string& name);

}  // namespace volcrypt::test
