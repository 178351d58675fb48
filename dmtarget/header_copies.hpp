// The two copies of a LUKS2 binary header as bytes: which are whole, which is newer. A small strict reader of our own,
// because libcryptsetup repairs a damaged copy silently, also on a drive that is not ours. Values only: no device, no
// libcryptsetup, no JSON. Source: LUKS2 on-disk specification 1.1, sections 2.1 and 2.2. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "dmtarget/bytes.hpp"

namespace volcrypt::dm {

inline constexpr std::size_t binary_header_size = 4096;  // bytes, without the JSON area
inline constexpr std::size_t header_copy_size = 16384;   // bytes, with it; the only size that we write
inline constexpr std::size_t header_area_size = 2 * header_copy_size;
inline constexpr std::size_t json_area_size = header_copy_size - binary_header_size;

struct HeaderCopy {
  enum class State {
    absent,   // no magic
    foreign,  // a LUKS header that we never write: version 1, another size, another checksum
    damaged,  // magic, but the checksum or a fixed field is wrong
    good
  };
  State state = State::absent;
  // Set for a good copy only.
  std::uint64_t sequence = 0;
  std::string label, subsystem, uuid;
  std::string json;  // the JSON area up to its first zero byte
};

struct HeaderCopies {
  HeaderCopy primary, secondary;

  bool any_good() const noexcept;
  // And they say the same: nothing is left to repair. libcryptsetup falls back silently to a second copy of the same
  // sequence number when it does not like the first one's metadata; then the copy that was checked would be another.
  bool both_good() const noexcept;
  const HeaderCopy& newest() const noexcept;  // of the good ones, the first of two equals; any_good() must be true
};

// `area` is the first header_area_size bytes of a device.
HeaderCopies read_header_copies(ByteView area);

// `area` with both copies made from its newest good one, each with a salt and checksum of its own. any_good() must be
// true.
Bytes with_both_copies_from_newest(ByteView area);

// True if any copy is damaged and the area names volcrypt: what is left of a header of ours after damage.
bool looks_like_damaged_ours(const HeaderCopies& copies, ByteView area);
bool mentions(ByteView area, std::string_view text) noexcept;

}  // namespace volcrypt::dm
