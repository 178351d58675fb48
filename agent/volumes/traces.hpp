// Traces: what a header area shows of a volume when udev does not know it: whole, damaged, half erased, zeros. One
// judgement for create, forget and interrupted deletes. Pure. Any thread.
#pragma once

#include "dmtarget/bytes.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::volumes {

enum class Trace {
  none,     // another's header or data, or a good header of another volume
  zeros,    // erased, never written, or an ill path
  damaged,  // no good copy; a header of ours once, of which volume it does not tell
  named,    // no good copy, and the volume's UUID stands in it: damaged or half erased
  header    // a good copy is the volume's
};

// `area` is the first dm::header_area_size bytes of a device.
Trace trace_of(const Uuid& volume, ByteView area);

}  // namespace volcrypt::volumes
