// One volume on one device: create, attach, detach, rewrap, erase, header backup and restore. Each verb is idempotent,
// says whether it changed anything, and rolls back or refuses further work. Keys come in as Secrets and are not kept.
// Attach code cannot format: create() is the only way to a new header. Blocking: call from a device worker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dmtarget/luks.hpp"
#include "dmtarget/mapper.hpp"
#include "dmtarget/secret.hpp"
#include "dmtarget/token.hpp"

namespace volcrypt::dm {

enum class Changed { no, yes };
enum class ExistingData { refuse, erase };

// What the device itself suggests: sector size, workqueue flags (non-rotational), room. Reads sysfs and ioctls.
// Throws errc::device_unreadable, or errc::invalid_argument when the device is too small for a header and data.
Description describe_device(const std::string& device, Discards discards);

// Refuses devices that are mounted, held, open exclusively, unreadable, or (unless erase) not blank: any libblkid
// signature or partition table, and any non-zero byte in the first and last MiB. Throws errc::device_busy,
// device_not_blank, device_unreadable. A device with a good volcrypt header is refused even with erase: `erase` first.
void check_formattable(const std::string& device, ExistingData existing);

// Formats after check_formattable. The token must already carry the wrapped DEK. On failure the device holds no
// header that opens (the header area is wiped again), or the error says errc::unknown_outcome.
void create(const std::string& device, const Token& token, const Secret& volume_key, ExistingData existing);

// Makes /dev/mapper/NAME of the header whose token is `proved`, the one that the key was unwrapped from: a device that
// shows another one now is errc::header_changed. Before: header against description; no other mapping over the device.
// An existing right mapping is left alone (Changed::no); a wrong one of that name is errc::name_taken, one that goes
// with its last user errc::device_busy.
Changed attach(const std::string& device, const Token& proved, const Secret& volume_key);
// The same under another name than the volume's, for a machine where that one is taken.
Changed attach_as(const std::string& name, const std::string& device, const Token& proved, const Secret& volume_key);

Changed detach(const std::string& name);  // errc::device_busy when in use

// Replaces the token by one with the same identity and a newer wrap; one header write. errc::header_damaged while a
// copy is damaged: repair_header first.
Changed rewrap(const std::string& device, const Token& token);

// Takes a rewrap back: the wrap `before` where `after` is, the token that the caller itself wrote a moment ago. The
// only way to an older generation, hence narrow: a header with any other token than these two is errc::header_changed
// and is left as it is; one with `before` already is Changed::no.
struct Rewrap {
  Token before, after;
};
Changed take_back(const std::string& device, const Rewrap& rewrap);

// Writes a damaged header copy again from the good one, and reads both back; Changed::no when both are good. Only with
// the token whose key was unwrapped (errc::header_changed for another) and a key that the digest accepts
// (errc::wrong_key): before that proof nothing is written to a drive. Errors as of LuksHeader::repair.
Changed repair_header(const std::string& device, const Token& proved, const Secret& volume_key);

// Crypto-erase: both header copies and the keyslot area overwritten with zeros and flushed, then discard of the whole
// device where it can. The mapping must be gone. After a crash in between, the header is gone or the volume still
// opens.
void erase(const std::string& device, const Uuid& volume);

// The two header copies (no key in clear; the empty keyslot area is left out) as bytes, for the cluster's backup.
Bytes backup_header(const std::string& device);
// Writes a backup back. Refuses a backup that is not a whole volcrypt header of volume `expected`, a device that still
// carries a good header of another volume, and a device that is in use.
void restore_header(const std::string& device, ByteView backup, const Uuid& expected);

}  // namespace volcrypt::dm
