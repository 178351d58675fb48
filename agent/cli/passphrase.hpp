// Passphrases: from the terminal without echo, or from a file descriptor that the caller names; never from argv or the
// environment. They are Secrets from the first byte on. One thread.
#pragma once

#include <string>
#include <vector>

#include "dmtarget/secret.hpp"

namespace volcrypt::cli {

enum class Asking { once, twice };  // twice: for a new passphrase, both must agree

inline constexpr std::size_t passphrase_limit = 1024;     // bytes
inline constexpr std::size_t new_passphrase_minimum = 8;  // bytes, for new ones

// Gives one passphrase after the other: from the descriptors in their order as long as there are some, then from the
// terminal (/dev/tty). A descriptor is read to its end; one newline at the end does not count. Throws Failure when
// there is no terminal, the passphrases differ, or one is empty, too short (new ones) or too long.
class Passphrases {
 public:
  explicit Passphrases(std::vector<int> descriptors) : descriptors_(std::move(descriptors)) {}
  Secret next(const std::string& purpose, Asking asking);  // purpose: "the authority key"

 private:
  std::vector<int> descriptors_;
  std::size_t used_ = 0;
};

// Exposed for tests. Reads to the end of the file.
Secret read_passphrase(int descriptor);

}  // namespace volcrypt::cli
