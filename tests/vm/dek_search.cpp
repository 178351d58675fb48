// Runs inside of the machine, for the leak tests only: opens a volume's DEK with the recovery key, as `recovery open`
// does, and looks for each half of it in every spelling (tests/support/key_spellings.hpp) in every file below the given
// paths. Prints the files that hold it.
//   dek_search DEVICE BUNDLE RECOVERY_FILE PATH...      the passphrase comes on file descriptor 3
// With PATH = "--plant DIRECTORY" it makes that directory and writes each spelling into a file of it, so that the
// search itself can be tested.
#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/recovery.hpp"
#include "dmtarget/luks.hpp"
#include "tests/support/key_spellings.hpp"

namespace {

using namespace volcrypt;
namespace fs = std::filesystem;

std::string read_all(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Secret passphrase_from_descriptor() {
  std::array<std::uint8_t, 256> buffer{};
  const auto count = ::read(3, buffer.data(), buffer.size());
  if (count <= 1) throw std::runtime_error("no passphrase on file descriptor 3");
  return Secret::take(std::span(buffer).first(static_cast<std::size_t>(count - 1)));  // without the newline
}

Secret open_dek(const std::string& device, const fs::path& bundle_file, const fs::path& key_file) {
  const auto token = dm::LuksHeader::open(device).token();
  const auto key = keys::AdminKey::open(key_file, passphrase_from_descriptor());
  const auto bundle = keys::parse_recovery_bundle(read_all(bundle_file));
  for (const auto& blob : bundle.blobs) {
    if (blob.generation != token.generation) continue;
    return keys::unwrap(token,
                        keys::RecoveredKek::open(blob, key, bundle.cluster).group_key(bundle.cluster, token.group));
  }
  throw std::runtime_error("the bundle lacks generation " + std::to_string(token.generation));
}

// Halves: dm-crypt's two AES keys are of use one by one to nobody, but a leak of one is a leak.
std::vector<std::string> spellings(const Secret& dek) {
  std::vector<std::string> found;
  for (const std::size_t from : {0, 32}) {
    const auto of_half = test::key_spellings(dek.view().subspan(from, 32));
    found.insert(found.end(), of_half.begin(), of_half.end());
  }
  return found;
}

struct Search {
  test::KeySearch wanted;
  unsigned files = 0;
  unsigned hits = 0;

  void look(const fs::path& file) {
    ++files;
    if (wanted.finds_in(read_all(file))) {
      std::cout << "DEK in " << file.string() << "\n";
      ++hits;
    }
  }

  // Entries that vanish meanwhile (the journal rotates, /run lives) are no longer there to be read.
  void look_below(const fs::path& path) {
    std::error_code gone;
    if (!fs::is_directory(path, gone)) return look(path);
    fs::directory_iterator entry(path, gone);
    for (; !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
      std::error_code vanished;
      const auto kind = entry->symlink_status(vanished).type();
      if (kind == fs::file_type::directory) look_below(entry->path());
      if (kind == fs::file_type::regular) look(entry->path());
    }
    if (gone && gone != std::errc::no_such_file_or_directory) throw fs::filesystem_error("search", path, gone);
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 5) throw std::runtime_error("usage: dek_search DEVICE BUNDLE RECOVERY_FILE PATH...");
    const auto dek = open_dek(argv[1], argv[2], argv[3]);
    Search search{test::KeySearch(spellings(dek))};
    for (int i = 4; i < argc; ++i) {
      if (argv[i] == std::string_view("--plant") && i + 1 < argc) {
        const fs::path directory = argv[++i];
        fs::create_directory(directory);
        int number = 0;
        for (const std::string& spelling : search.wanted.needles())
          std::ofstream(directory / std::to_string(++number), std::ios::binary) << "before" << spelling << "after";
      } else {
        search.look_below(argv[i]);
      }
    }
    std::cout << search.hits << " of " << search.files << " files hold the DEK\n";
    return search.hits == 0 ? 0 : 1;
  } catch (const std::exception& failure) {
    std::cerr << "dek_search: " << failure.what() << "\n";
    return 2;
  }
}
