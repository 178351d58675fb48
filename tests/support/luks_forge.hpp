// Forges LUKS2 headers for tests: edits the metadata of both copies in a file and sets the checksums right, as somebody
// would who has the drive on their desk. Writes raw bytes by its own knowledge of the format, not through the code
// under test. Source: LUKS2 on-disk specification 1.1, section 2.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "dmtarget/bytes.hpp"

namespace volcrypt::test {

enum class Copy { primary, secondary };
enum class Field { label, subsystem, uuid };

boost::json::object metadata_of(const std::string& file);  // of the primary copy
void edit_metadata(const std::string& file, const std::function<void(boost::json::object&)>& edit);
void edit_field(const std::string& file, Field field, const std::string& text);

// Flips one byte in the middle of the copy's JSON area: the checksum does not fit any more.
void damage_copy(const std::string& file, Copy copy);

// The copy gets a sequence number above the other's, and a right checksum: it counts from now on.
void make_newest(const std::string& file, Copy copy);

// Both copies with right checksums, over whatever else is in them. `area` has 32768 bytes or more.
void set_checksums(std::span<std::uint8_t> area);

Bytes content_of(const std::string& file, std::size_t limit = 64 << 20);  // from the start, `limit` bytes at most
void overwrite(const std::string& file, std::uint64_t offset, ByteView bytes);

}  // namespace volcrypt::test
