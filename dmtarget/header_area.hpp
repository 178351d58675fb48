// The header area of a device (both LUKS2 header copies): read whole, written so that at every instant one good copy is
// on the medium. Knows copies and their order, not their meaning. Blocking.
#pragma once

#include "dmtarget/block_file.hpp"
#include "dmtarget/bytes.hpp"

namespace volcrypt::dm {

// header_area_size bytes. Throws Error(errc::device_unreadable), also for a device that is shorter.
Bytes read_header_area(const BlockFile& file);

// Each copy that differs is written and flushed before the next; the newest good copy of what was there is overwritten
// last. Then read back. Throws Error: errc::conflict if the device no longer carries `expected` (nothing was written),
// the errno of a failed write or flush (old or new: look), errc::unknown_outcome if other bytes came back.
void replace_header_area(BlockFile& file, ByteView expected, ByteView area);

// For a device without a header: everything but the 4096 bytes with the magic goes first, so that a torn write never
// looks like a damaged header.
void write_first_header_area(BlockFile& file, ByteView area);

}  // namespace volcrypt::dm
