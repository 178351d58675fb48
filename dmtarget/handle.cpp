// Fd's end, see handle.hpp.
#include "dmtarget/handle.hpp"

#include <unistd.h>

namespace volcrypt {

// close(2) on Linux frees the number even when it fails, so it is never repeated; whoever must know that data reached
// the disk calls fsync first.
Fd::~Fd() {
  if (number_ >= 0) ::close(number_);
}

}  // namespace volcrypt
