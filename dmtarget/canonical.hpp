// The one byte encoding for everything that is hashed, signed or authenticated: each field as a 32-bit big-endian
// length and its bytes, integers as 8 big-endian bytes; so no two different lists of fields share an encoding.
// The first field is always a label that names the purpose and its version. Vectors in tests/data. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "dmtarget/bytes.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt {

class Canonical {
 public:
  explicit Canonical(std::string_view label) { add(label); }
  Canonical& add(std::string_view text);
  Canonical& add(ByteView bytes);
  Canonical& add(std::uint64_t number);
  Canonical& add(const Uuid& uuid) { return add(uuid.bytes()); }

  const Bytes& bytes() const noexcept { return bytes_; }
  Digest sha256() const;

 private:
  Bytes bytes_;
};

Digest sha256(ByteView bytes);

}  // namespace volcrypt
