// Reading and writing both header copies, see header_area.hpp.
#include "dmtarget/header_area.hpp"

#include <algorithm>

#include "dmtarget/error.hpp"
#include "dmtarget/header_copies.hpp"

namespace volcrypt::dm {
namespace {

void write_copy(BlockFile& file, std::size_t offset, ByteView present, ByteView area) {
  const ByteView old = present.subspan(offset, header_copy_size), copy = area.subspan(offset, header_copy_size);
  if (std::equal(old.begin(), old.end(), copy.begin())) return;  // a repair never writes over the good one
  file.write(offset, copy);
  file.sync();
}

}  // namespace

Bytes read_header_area(const BlockFile& file) { return file.read(0, header_area_size); }

void replace_header_area(BlockFile& file, ByteView expected, ByteView area) {
  Bytes present = read_header_area(file);
  if (!std::equal(present.begin(), present.end(), expected.begin(), expected.end()))
    throw Error(errc::conflict, {"write the header of", file.path(),
                                 "Another program changed it meanwhile. Nothing was written; repeat the request."});
  HeaderCopies copies = read_header_copies(present);
  bool keep_secondary_longest = copies.any_good() && &copies.newest() == &copies.secondary;
  write_copy(file, keep_secondary_longest ? 0 : header_copy_size, present, area);
  write_copy(file, keep_secondary_longest ? header_copy_size : 0, present, area);
  Bytes written = read_header_area(file);
  if (!std::equal(written.begin(), written.end(), area.begin(), area.end()))
    throw Error(errc::unknown_outcome, {"write the header of", file.path(),
                                        "The device returned other bytes than were written. Do not trust it."});
}

void write_first_header_area(BlockFile& file, ByteView area) {
  Bytes body(area.begin(), area.end());
  std::fill_n(body.begin(), binary_header_size, std::uint8_t{0});
  std::fill_n(body.begin() + header_copy_size, binary_header_size, std::uint8_t{0});
  file.write(0, body);
  file.sync();
  replace_header_area(file, body, area);
}

}  // namespace volcrypt::dm
