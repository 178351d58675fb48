// Claims on devices that create, erase and restore share: refused while in use, and held so that nobody else comes in
// between the look and the write. Blocking.
#pragma once

#include <string>

#include "dmtarget/block_file.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::dm {

// Throws Error(errc::device_busy) that names the mount point, mapping or loop device.
void check_unused(const std::string& device);

// check_formattable of volume.hpp, and the claim stays with the result.
BlockFile claim_formattable(const std::string& device, ExistingData existing);

}  // namespace volcrypt::dm
