// DmDevices: the real Devices. Headers and mappings through dmtarget, presence through udev. Blocking: device worker.
#pragma once

#include "agent/volumes/devices.hpp"

namespace volcrypt::volumes {

// One header read and compared with its own token; on a block device or, for tests and recovery, a plain file (whose
// inode number then stands for the device number).
Sighting look_at_header(const std::string& device);

HeaderArea read_area(const std::string& device);

class DmDevices final : public Devices {
 public:
  std::vector<Candidate> scan() override;
  std::vector<DriveFacts> drives() override;
  bool quiet() override;
  bool present(dev_t number) override;
  Sighting look(const std::string& device) override;
  HeaderArea header_area(const std::string& device) override;
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
};

}  // namespace volcrypt::volumes
