// What a device carries by its signatures, through libblkid; the only user of it. Says names, decides nothing.
// Blocking.
#pragma once

#include <string>
#include <vector>

namespace volcrypt::dm {

// Names as blkid prints them ("ext4", "crypto_LUKS", "gpt"), every one that is found, none if the device is blank.
// Throws Error(errc::device_unreadable).
std::vector<std::string> find_signatures(const std::string& device);

}  // namespace volcrypt::dm
