// Reading LUKS2 binary headers, see header_copies.hpp. Integers on disk are big-endian.
#include "dmtarget/header_copies.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::dm {
namespace {

// Offsets and sizes of struct luks2_hdr_disk, specification section 2.1.
constexpr std::size_t magic_size = 6;
constexpr std::size_t version_at = 6, size_at = 8, sequence_at = 16, label_at = 24, algorithm_at = 72, salt_at = 104,
                      uuid_at = 168, subsystem_at = 208, offset_at = 256, checksum_at = 448;
constexpr std::size_t label_size = 48, algorithm_size = 32, salt_size = 64, uuid_size = 40, checksum_size = 64;
constexpr std::string_view primary_magic("LUKS\xba\xbe", magic_size), secondary_magic("SKUL\xba\xbe", magic_size);

std::uint64_t big_endian(ByteView bytes) {
  std::uint64_t number = 0;
  for (std::uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

std::string text(ByteView field) {
  return std::string(field.begin(), std::find(field.begin(), field.end(), std::uint8_t{0}));
}

// Section 2.1: over the whole copy, with the checksum field zero.
Digest checksum_of(ByteView copy) {
  Bytes summed(copy.begin(), copy.end());
  std::fill_n(summed.begin() + checksum_at, checksum_size, std::uint8_t{0});
  return sha256(summed);
}

bool checksum_is_right(ByteView copy) {
  Digest digest = checksum_of(copy);
  return std::equal(digest.begin(), digest.end(), copy.begin() + checksum_at);
}

HeaderCopy read_copy(ByteView copy, std::string_view magic, std::uint64_t offset) {
  HeaderCopy result;
  ByteView wanted = as_bytes(magic);
  if (!std::equal(wanted.begin(), wanted.end(), copy.begin())) return result;
  if (big_endian(copy.subspan(version_at, 2)) != 2 || big_endian(copy.subspan(size_at, 8)) != header_copy_size ||
      text(copy.subspan(algorithm_at, algorithm_size)) != "sha256") {
    result.state = HeaderCopy::State::foreign;
    return result;
  }
  if (big_endian(copy.subspan(offset_at, 8)) != offset || !checksum_is_right(copy)) {
    result.state = HeaderCopy::State::damaged;
    return result;
  }
  result.state = HeaderCopy::State::good;
  result.sequence = big_endian(copy.subspan(sequence_at, 8));
  result.label = text(copy.subspan(label_at, label_size));
  result.subsystem = text(copy.subspan(subsystem_at, label_size));
  result.uuid = text(copy.subspan(uuid_at, uuid_size));
  result.json = text(copy.subspan(binary_header_size));
  return result;
}

bool is_damaged(const HeaderCopy& copy) { return copy.state == HeaderCopy::State::damaged; }
bool is_good(const HeaderCopy& copy) { return copy.state == HeaderCopy::State::good; }

}  // namespace

bool HeaderCopies::any_good() const noexcept { return is_good(primary) || is_good(secondary); }

bool HeaderCopies::both_good() const noexcept {
  auto content = [](const HeaderCopy& copy) {
    return std::tie(copy.sequence, copy.label, copy.subsystem, copy.uuid, copy.json);
  };
  return is_good(primary) && is_good(secondary) && content(primary) == content(secondary);
}

const HeaderCopy& HeaderCopies::newest() const noexcept {
  if (!is_good(secondary)) return primary;
  if (!is_good(primary)) return secondary;
  return secondary.sequence > primary.sequence ? secondary : primary;
}

HeaderCopies read_header_copies(ByteView area) {
  if (area.size() < header_area_size)
    throw Error(errc::invalid_argument, {"read header copies from", std::to_string(area.size()) + " bytes", ""});
  return {read_copy(area.first(header_copy_size), primary_magic, 0),
          read_copy(area.subspan(header_copy_size, header_copy_size), secondary_magic, header_copy_size)};
}

Bytes with_both_copies_from_newest(ByteView area) {
  HeaderCopies copies = read_header_copies(area);
  bool from_primary = &copies.newest() == &copies.primary;
  Bytes result(area.begin(), area.begin() + header_area_size);
  auto primary = result.begin();
  auto secondary = result.begin() + header_copy_size;
  std::copy_n(from_primary ? primary : secondary, header_copy_size, from_primary ? secondary : primary);

  std::span<std::uint8_t> copy = std::span(result).subspan(from_primary ? header_copy_size : 0, header_copy_size);
  ByteView magic = as_bytes(from_primary ? secondary_magic : primary_magic);
  std::copy(magic.begin(), magic.end(), copy.begin());
  std::fill_n(copy.begin() + offset_at, 8, std::uint8_t{0});
  if (from_primary) copy[offset_at + 6] = header_copy_size >> 8;
  if (::getrandom(&copy[salt_at], salt_size, 0) != static_cast<ssize_t>(salt_size))
    throw Error(errno_code(errno), {"draw a salt for", "a header copy", ""});
  std::fill_n(copy.begin() + checksum_at, checksum_size, std::uint8_t{0});
  Digest digest = checksum_of(copy);
  std::copy(digest.begin(), digest.end(), copy.begin() + checksum_at);
  return result;
}

bool mentions(ByteView area, std::string_view text) noexcept {
  ByteView wanted = as_bytes(text);
  return std::search(area.begin(), area.end(), wanted.begin(), wanted.end()) != area.end();
}

bool looks_like_damaged_ours(const HeaderCopies& copies, ByteView area) {
  return (is_damaged(copies.primary) || is_damaged(copies.secondary)) && mentions(area, "volcrypt");
}

}  // namespace volcrypt::dm
