// Fuzz target: any bytes as one of the two files of a kept document, beside a whole one of serial 1: reading never
// fails, and gives the whole document or, where the bytes are whole and newer, theirs. Alone they are read or refused.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/keys/kept_file.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

namespace fs = std::filesystem;

fs::path scratch() {
  // In memory where there is such a place: a disk's file system flushes a file that is truncated and written again.
  const fs::path place = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
  std::string pattern = (place / "volcrypt-fuzz-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  static const struct Removed {
    fs::path path;
    ~Removed() { fs::remove_all(path); }
  } directory{pattern};
  return directory.path;
}

void write(const fs::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;  // plain: fsync would cost the fuzzer its speed
}

// A whole file of serial 1 around "document".
const std::string& whole_file(const fs::path& directory) {
  static const std::string content = [&] {
    keys::KeptFile(directory / "first").write(as_bytes("document"));
    std::ifstream in(directory / "first", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  return content;
}

bool is(const Secret& document, std::string_view text) { return std::ranges::equal(document.view(), as_bytes(text)); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::path directory = scratch();
  const std::string_view text = fuzz::text_of(data, size);
  const std::string& whole = whole_file(directory);
  const fs::path name = directory / "file", copy = directory / "file.copy";
  for (const auto& [hostile, good] : {std::pair(name, copy), std::pair(copy, name)}) {
    write(hostile, text);
    write(good, whole);
    const auto document = keys::KeptFile(name).read();
    fuzz::demand(
        document && (is(*document, "document") || text.ends_with(fuzz::text_of(document->data(), document->size()))),
        "one whole file is enough");
  }
  fs::remove(name);
  try {
    write(copy, text);
    keys::KeptFile(name).read();
  } catch (const Error& error) {
    fuzz::demand(error.code() == errc::store_damaged, error.what());
  }
  return 0;
}
