// Devices: what the volume service asks of block devices and mappings. DmDevices (dm_devices.hpp) does it with dmtarget
// and udev; tests keep mappings in memory over real header files, on the same conformance suite. Blocking: device
// worker only.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/volumes/drive_report.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::volumes {

// A device that claims, by its label alone, to carry a volcrypt header. Nothing of it is proved.
struct Candidate {
  std::string device;  // canonical node, "/dev/vdb"
  dev_t number = 0;
  std::optional<Uuid> volume;  // ID_FS_UUID, where udev knows it
};

// A header that was read and agrees with its own token; authenticated only when its DEK has been unwrapped.
struct Sighting {
  std::string device;
  dev_t number = 0;
  std::uint64_t bytes = 0;
  dm::Token token;
  dm::HeaderFacts::Copies copies = dm::HeaderFacts::Copies::both_good;
};

// The first bytes of a device, both header copies' place, as they are; nothing of them is judged.
struct HeaderArea {
  std::string device;       // canonical node
  std::uint64_t bytes = 0;  // size of the device
  Bytes content;            // dm::header_area_size
};

class Devices {
 public:
  virtual ~Devices() = default;

  virtual std::vector<Candidate> scan() = 0;
  virtual std::vector<DriveFacts> drives() = 0;  // every block device that udev knows
  virtual bool quiet() = 0;                      // udev has no event under way
  virtual bool present(dev_t number) = 0;        // the kernel still has the block device
  // Writes nothing, whatever it finds. Throws what dm::LuksHeader::open and check_description throw.
  virtual Sighting look(const std::string& device) = 0;
  virtual HeaderArea header_area(const std::string& device) = 0;  // throws errc::device_unreadable; writes nothing
  virtual std::vector<dm::Mapping> mappings() = 0;

  virtual dm::Description describe(const std::string& device, dm::Discards discards) = 0;
  virtual void check_formattable(const std::string& device, dm::ExistingData existing) = 0;
  virtual void create(const std::string& device, const dm::Token& token, const Secret& key,
                      dm::ExistingData existing) = 0;
  virtual dm::Changed attach(const std::string& device, const dm::Token& proved, const Secret& key) = 0;
  virtual dm::Changed detach(const std::string& name) = 0;
  // See dm::repair_header: with the token whose key was unwrapped, and that key.
  virtual dm::Changed repair_header(const std::string& device, const dm::Token& proved, const Secret& key) = 0;
  virtual dm::Changed rewrap(const std::string& device, const dm::Token& token) = 0;
  virtual dm::Changed take_back(const std::string& device, const dm::Rewrap& rewrap) = 0;
  // The header on the device, read again, opens with this key: the volume key's digest says so.
  virtual void verify_key(const std::string& device, const Secret& key) = 0;
  virtual void erase(const std::string& device, const Uuid& volume) = 0;
  virtual Bytes backup_header(const std::string& device) = 0;
  virtual void restore_header(const std::string& device, ByteView backup, const Uuid& expected) = 0;

  virtual void resume(const std::string& name) = 0;
  virtual dm::Removal remove(const std::string& name) = 0;       // deferred while in use
  virtual dm::Removal remove_dead(const std::string& name) = 0;  // its drive is gone: error table first
};

}  // namespace volcrypt::volumes
