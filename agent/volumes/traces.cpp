// What a header area shows of a volume, see traces.hpp.
#include "agent/volumes/traces.hpp"

#include "dmtarget/block_file.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

Trace trace_of(const Uuid& volume, ByteView area) {
  const dm::HeaderCopies copies = dm::read_header_copies(area);
  if (copies.any_good()) {
    const bool its = copies.newest().subsystem == dm::header_subsystem && copies.newest().uuid == volume.str();
    return its ? Trace::header : Trace::none;
  }
  if (dm::all_zero(area)) return Trace::zeros;
  if (dm::mentions(area, volume.str())) return Trace::named;
  return dm::looks_like_damaged_ours(copies, area) ? Trace::damaged : Trace::none;
}

}  // namespace volcrypt::volumes
