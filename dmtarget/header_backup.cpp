// Header backup and restore, see volume.hpp. A backup is both copies as they are on the device: no key in clear, no
// keyslots, so it may lie in the cluster's state.
#include <algorithm>

#include "dmtarget/block_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/formattable.hpp"
#include "dmtarget/header_area.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/signatures.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::dm {
namespace {

void check_backup(ByteView backup, std::uint64_t device_size, const Uuid& expected) {
  auto refuse = [](errc cause, const char* why) { throw Error(cause, {"restore", "a header backup", why}); };
  if (backup.size() != header_area_size) refuse(errc::invalid_argument, "A backup has 32768 bytes.");
  if (!read_header_copies(backup).both_good()) refuse(errc::header_damaged, "It is not whole. Use another backup.");
  LuksHeader header = LuksHeader::from_bytes(backup, device_size, "the backup");
  header.check_description();
  if (header.facts().uuid != expected) refuse(errc::no_such_volume, "It is the backup of another volume.");
}

void check_target(const BlockFile& file, ByteView area, const Uuid& expected) {
  HeaderCopies copies = read_header_copies(area);
  // A newer copy under another UUID may be forged; the older one then still tells whose drive it is.
  auto is_expected = [&expected](const HeaderCopy& copy) { return copy.uuid == expected.str(); };
  if (copies.any_good() && !is_expected(copies.primary) && !is_expected(copies.secondary))
    throw Error(errc::device_not_blank,
                {"restore a header on", file.path(),
                 "It carries a header of another volume (" + copies.newest().uuid +
                     "). If it is the right drive and that header was edited, remove it with wipefs first. "
                     "Nothing was changed."});
  for (const std::string& signature : find_signatures(file.path()))
    if (signature != "crypto_LUKS")
      throw Error(errc::device_not_blank, {"restore a header on", file.path(),
                                           "It carries: " + signature +
                                               ". If it is the right drive, remove that signature with wipefs first. "
                                               "Nothing was changed."});
}

}  // namespace

Bytes backup_header(const std::string& device) {
  LuksHeader header = LuksHeader::open(device);
  header.check_description();
  return header.bytes();
}

void restore_header(const std::string& device, ByteView backup, const Uuid& expected) {
  check_unused(device);
  BlockFile file(device, BlockFile::Access::write_claimed);
  check_backup(backup, file.size(), expected);
  Bytes area = read_header_area(file);
  check_target(file, area, expected);
  if (std::equal(area.begin(), area.end(), backup.begin(), backup.end())) return;
  replace_header_area(file, area, backup);
}

}  // namespace volcrypt::dm
