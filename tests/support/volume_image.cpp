// Images for tests, see volume_image.hpp.
#include "tests/support/volume_image.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "dmtarget/luks.hpp"

namespace volcrypt::test {
namespace {

template <class Array>
void randomise(Array& bytes) {
  Secret random = Secret::random(bytes.size());
  std::copy_n(random.data(), bytes.size(), bytes.begin());
}

}  // namespace

ScratchDirectory::ScratchDirectory()
    : path_((std::filesystem::temp_directory_path() / "volcrypt-test-XXXXXX").string()) {
  if (!::mkdtemp(path_.data())) throw std::runtime_error("cannot make " + path_);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void make_blank_image(const std::string& file, std::uint64_t size) {
  std::ofstream(file, std::ios::binary | std::ios::trunc);
  std::filesystem::resize_file(file, size);
}

dm::Token make_token(const std::string& name) {
  dm::Token token;
  token.cluster = Uuid::random();
  token.group = Uuid::random();
  token.volume = Uuid::random();
  token.name = name;
  token.generation = 1;
  token.description.data_offset = image_data_offset;
  randomise(token.nonce);
  randomise(token.wrapped_dek);
  return token;
}

dm::Token rewrapped(const dm::Token& token) {
  dm::Token next = token;
  ++next.generation;
  randomise(next.nonce);
  randomise(next.wrapped_dek);
  return next;
}

VolumeImage::VolumeImage(const std::string& name)
    : file(directory.path("drive.img")), token(make_token(name)), key(Secret::random(volume_key_size)) {
  make_blank_image(file);
  dm::LuksHeader::format(file, token, key);
}

}  // namespace volcrypt::test
