// Crypto-erase, see erase in volume.hpp. Without the wrapped DEK the data is noise; so both header copies go, the
// second first: until the first one's magic is gone, the volume still opens. What a crash left over is recognised by
// the volume's UUID in it, so erase can be repeated.
#include "dmtarget/block_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/formattable.hpp"
#include "dmtarget/header_area.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::dm {
namespace {

// The header says which volume this is, or (damaged, or half erased) at least names it.
void check_carries(const BlockFile& file, ByteView area, const Uuid& volume) {
  auto refuse = [&file](errc cause, const std::string& why) {
    throw Error(cause, {"erase", file.path(), why + " Nothing was changed."});
  };
  HeaderCopies copies = read_header_copies(area);
  if (copies.any_good()) {
    if (copies.newest().subsystem != header_subsystem) refuse(errc::not_ours, "It carries another LUKS2 header.");
    if (copies.newest().uuid != volume.str())
      refuse(errc::no_such_volume, "It carries the volume " + copies.newest().uuid + " and not " + volume.str() + ".");
    return;
  }
  if (all_zero(area))
    refuse(errc::device_all_zero, "It is erased already, or its path is ill and reads zeros: check which.");
  if (!mentions(area, volume.str())) refuse(errc::not_ours, "It does not carry the volume " + volume.str() + ".");
}

}  // namespace

void erase(const std::string& device, const Uuid& volume) {
  check_unused(device);
  BlockFile file(device, BlockFile::Access::write_claimed);
  Bytes area = read_header_area(file);
  check_carries(file, area, volume);

  file.zero(header_copy_size, header_copy_size);
  file.sync();
  file.zero(0, header_copy_size);
  file.sync();
  // The keyslot area too, and what a forged offset would hide behind: up to the usual data offset.
  std::uint64_t before_data = std::min(file.size(), Description{}.data_offset);
  file.zero(header_area_size, before_data - header_area_size);
  file.sync();
  if (!all_zero(read_header_area(file)))
    throw Error(errc::unknown_outcome, {"erase", device,
                                        "The header came back after it was overwritten. Destroy the "
                                        "drive, or erase it by its own means."});
  file.discard(0, file.size());  // not every device can; the data is noise without it
}

}  // namespace volcrypt::dm
