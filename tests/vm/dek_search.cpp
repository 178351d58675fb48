// Runs inside of the machine, for the leak tests only: opens a volume's DEK with the recovery key, as `recovery open`
// does, and looks for it (raw, as hex, in halves) in every file below the given paths. Prints the files that hold it.
//   dek_search DEVICE BUNDLE RECOVERY_FILE PATH...      the passphrase comes on file descriptor 3
// With PATH = "--plant FILE" it writes the DEK there, so that the search itself can be tested.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/recovery.hpp"
#include "dmtarget/luks.hpp"

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
    const auto half = dek.view().subspan(from, 32);
    found.emplace_back(half.begin(), half.end());
    found.push_back(to_hex(half));
  }
  return found;
}

unsigned search(const fs::path& path, const std::vector<std::string>& wanted) {
  unsigned hits = 0;
  const auto look = [&](const fs::path& file) {
    const auto content = read_all(file);
    if (std::any_of(wanted.begin(), wanted.end(),
                    [&](const auto& w) { return content.find(w) != std::string::npos; })) {
      std::cout << "DEK in " << file.string() << "\n";
      ++hits;
    }
  };
  if (!fs::is_directory(path)) {
    look(path);
    return hits;
  }
  for (const auto& entry : fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied)) {
    if (entry.is_regular_file() && !entry.is_symlink()) look(entry.path());
  }
  return hits;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 5) throw std::runtime_error("usage: dek_search DEVICE BUNDLE RECOVERY_FILE PATH...");
    const auto dek = open_dek(argv[1], argv[2], argv[3]);
    const auto wanted = spellings(dek);
    unsigned hits = 0;
    for (int i = 4; i < argc; ++i) {
      if (argv[i] == std::string_view("--plant") && i + 1 < argc) {
        std::ofstream(argv[++i], std::ios::binary) << "before" << wanted.front() << "after";
      } else {
        hits += search(argv[i], wanted);
      }
    }
    std::cout << hits << " files hold the DEK\n";
    return hits == 0 ? 0 : 1;
  } catch (const std::exception& failure) {
    std::cerr << "dek_search: " << failure.what() << "\n";
    return 2;
  }
}
