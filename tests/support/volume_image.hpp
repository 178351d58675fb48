// A plain file that stands for a drive, and a token and key for it: what the tests of headers and volumes start from.
// The wrapped DEK in the token is random: dmtarget does not unwrap, and must not care.
#pragma once

#include <cstdint>
#include <string>

#include "dmtarget/secret.hpp"
#include "dmtarget/token.hpp"

namespace volcrypt::test {

// A directory of its own under TMPDIR, removed with everything in it at the end.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// Bytes: small, because a test makes many; one test formats with the default offset.
inline constexpr std::uint64_t image_size = 4 << 20;
inline constexpr std::uint64_t image_data_offset = 2 << 20;

void make_blank_image(const std::string& file, std::uint64_t size = image_size);  // sparse
dm::Token make_token(const std::string& name = "data");
dm::Token rewrapped(const dm::Token& token);  // the next generation: same identity, other nonce and wrapped DEK

struct VolumeImage {
  explicit VolumeImage(const std::string& name = "data");  // formatted, with its token
  ScratchDirectory directory;
  std::string file;
  dm::Token token;
  Secret key;
};

}  // namespace volcrypt::test
