// Searches the whole memory of this process for key bytes that should be gone. A needle keeps its bytes masked, so that
// it never finds itself. Linux only; for tests.
#pragma once

#include <string>
#include <vector>

#include "dmtarget/bytes.hpp"

namespace volcrypt::tests {

class Needle {
 public:
  Needle(std::string name, ByteView secret);  // at least 16 bytes
  const std::string& name() const noexcept { return name_; }

  // Any 16 bytes of the secret in a row, at a multiple of 16 from its start, anywhere in readable memory.
  // One line per place: name, address, mapping. `apart_from` is where it may stand: its own Secret while that lives.
  std::vector<std::string> find_in_own_memory(ByteView apart_from = {}) const;

 private:
  std::string name_;
  Bytes masked_;
};

}  // namespace volcrypt::tests
