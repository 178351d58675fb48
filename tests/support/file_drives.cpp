// FileDevices' share of udev: what it would say of the plugged files.
#include <filesystem>

#include "agent/volumes/dm_devices.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/signatures.hpp"
#include "tests/support/file_devices.hpp"

namespace volcrypt::test {

bool FileDevices::quiet() {
  const std::lock_guard lock(mutex_);
  return !busy_;
}

// blkid's answers, of the kinds that the tests have: nothing, LUKS, ours.
volumes::DriveFacts FileDevices::facts(const std::string& file) const {
  volumes::DriveFacts drive;
  drive.device = file;
  drive.number = number_of(file);
  drive.kernel_name = file.substr(file.rfind('/') + 1);
  {
    const std::lock_guard lock(mutex_);
    const auto identity = identities_.find(file);
    drive.identity = identity == identities_.end() ? "serial-of-" + drive.kernel_name : identity->second;
  }
  drive.sectors = std::filesystem::file_size(file) / 512;
  for (const std::string& signature : dm::find_signatures(file)) drive.content = signature;
  if (drive.content == "crypto_LUKS") try {
      drive.subsystem = dm::LuksHeader::open(file).facts().subsystem;
    } catch (const Error&) {  // another's LUKS
    }
  return drive;
}

std::vector<volumes::DriveFacts> FileDevices::drives() {
  std::set<std::string> files;
  {
    const std::lock_guard lock(mutex_);
    files = plugged_;
  }
  std::vector<volumes::DriveFacts> all;
  for (const std::string& file : files) all.push_back(facts(file));
  return all;
}

void FileDevices::set_identity(const std::string& file, const std::string& identity) {
  const std::lock_guard lock(mutex_);
  identities_[file] = identity;
}

volumes::HeaderArea FileDevices::header_area(const std::string& device) {
  must_answer(device);
  return volumes::read_area(device);
}

}  // namespace volcrypt::test
