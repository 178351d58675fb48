// Fuzz target: a recipe for the two LUKS2 header copies of a drive. Checksums are set right afterwards, so the fuzzer
// gets behind them. Either the header is refused with a cause that luks.hpp promises, or what libcryptsetup would
// activate is what the token describes, and the header survives being written and read again.
// A recipe is lines of a word and a value; what it does not say is as in a good header:
//   label T, uuid T, subsystem T, json T: of both copies; json2 T: of the second copy only
//   sequence N, sequence2 N: of the first and second copy
//   patch OFFSET HEX: bytes before the checksums are set; spoil OFFSET HEX: after
//   size N: of the device, in bytes
#include <fcntl.h>
#include <libcryptsetup.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/luks.hpp"
#include "dmtarget/name.hpp"
#include "tests/support/luks_forge.hpp"

namespace {

using namespace volcrypt;
namespace json = boost::json;
using Copies = dm::HeaderFacts::Copies;

void demand(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << '\n';
  std::abort();
}

struct Recipe {
  std::string label = "volcrypt:data1", uuid = "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4", subsystem = "volcrypt";
  std::string json, json2;
  std::uint64_t sequence = 3, sequence2 = 3, size = 64 << 20;
  std::vector<std::pair<std::size_t, Bytes>> patches, spoils;
};

std::pair<std::size_t, Bytes> bytes_at(const std::string& value) {
  std::size_t space = value.find(' ');
  std::string hex = space == std::string::npos ? "" : value.substr(space + 1, 64);
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::strtoul(hex.substr(at, 2).c_str(), nullptr, 16)));
  return {std::strtoul(value.c_str(), nullptr, 10) % dm::header_area_size, bytes};
}

Recipe read_recipe(std::string_view text) {
  Recipe recipe;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::size_t space = line.find(' ');
    std::string word = line.substr(0, space), value = space == std::string::npos ? "" : line.substr(space + 1);
    std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (word == "label") recipe.label = value;
    if (word == "uuid") recipe.uuid = value;
    if (word == "subsystem") recipe.subsystem = value;
    if (word == "json") recipe.json = recipe.json2 = value;
    if (word == "json2") recipe.json2 = value;
    if (word == "sequence") recipe.sequence = recipe.sequence2 = number;
    if (word == "sequence2") recipe.sequence2 = number;
    if (word == "size") recipe.size = number % (std::uint64_t{1} << 50);  // what a file in memory can be
    if (word == "patch") recipe.patches.push_back(bytes_at(value));
    if (word == "spoil") recipe.spoils.push_back(bytes_at(value));
  }
  return recipe;
}

void put(Bytes& area, std::size_t offset, std::string_view text, std::size_t limit) {
  std::copy_n(text.begin(), std::min(text.size(), limit), area.begin() + static_cast<std::ptrdiff_t>(offset));
}

void put_number(Bytes& area, std::size_t offset, std::uint64_t number) {
  for (std::size_t i = 0; i < 8; ++i) area[offset + i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
}

void apply(Bytes& area, const std::vector<std::pair<std::size_t, Bytes>>& changes) {
  for (const auto& [offset, bytes] : changes)
    for (std::size_t i = 0; i < bytes.size() && offset + i < area.size(); ++i) area[offset + i] = bytes[i];
}

// LUKS2 on-disk specification 1.1, section 2.1; by no code of ours.
Bytes cook(const Recipe& recipe) {
  Bytes area(dm::header_area_size);
  for (std::size_t start : {std::size_t{0}, dm::header_copy_size}) {
    bool first = start == 0;
    put(area, start, first ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6);
    area[start + 7] = 2;
    put_number(area, start + 8, dm::header_copy_size);
    put_number(area, start + 16, first ? recipe.sequence : recipe.sequence2);
    put(area, start + 24, recipe.label, 48);
    put(area, start + 72, "sha256", 32);
    put(area, start + 168, recipe.uuid, 40);
    put(area, start + 208, recipe.subsystem, 48);
    put_number(area, start + 256, start);
    put(area, start + 4096, first ? recipe.json : recipe.json2, dm::json_area_size);
  }
  apply(area, recipe.patches);
  test::set_checksums(area);
  apply(area, recipe.spoils);
  return area;
}

std::string text(const char* maybe) { return maybe ? maybe : ""; }

// What libcryptsetup would activate of these bytes, by its own words, is what the token says.
void check_library_agrees(const Bytes& area, std::uint64_t size, const dm::Token& token) {
  Fd fd(::memfd_create("volcrypt-fuzz", MFD_CLOEXEC));
  demand(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0, "the harness can make a file of the device's size");
  demand(::pwrite(fd.get(), area.data(), area.size(), 0) == static_cast<ssize_t>(area.size()), "and fill it");
  crypt_device* made = nullptr;
  demand(crypt_init(&made, ("/proc/self/fd/" + std::to_string(fd.get())).c_str()) == 0, "the library starts");
  std::unique_ptr<crypt_device, FreeWith<&crypt_free>> device(made);
  demand(crypt_load(made, CRYPT_LUKS2, nullptr) == 0, "libcryptsetup loads an accepted header");
  demand(text(crypt_get_cipher(made)) + "-" + text(crypt_get_cipher_mode(made)) == token.description.cipher, "cipher");
  demand(token.description.cipher == "aes-xts-plain64" && token.description.key_bytes == 64, "the only cipher of ours");
  demand(crypt_get_data_offset(made) * 512 == token.description.data_offset, "data offset");
  demand(crypt_get_iv_offset(made) == 0, "IV offset");
  demand(static_cast<unsigned>(crypt_get_sector_size(made)) == token.description.sector_size, "sector size");
  demand(text(crypt_get_uuid(made)) == token.volume.str(), "UUID");
  demand(text(crypt_get_label(made)) == dm::header_label(token.name), "label");
  demand(text(crypt_get_subsystem(made)) == "volcrypt", "subsystem");
  std::uint32_t flags = 0;
  demand(crypt_persistent_flags_get(made, CRYPT_FLAGS_ACTIVATION, &flags) == 0 && flags == 0, "no persistent flags");
  demand(crypt_persistent_flags_get(made, CRYPT_FLAGS_REQUIREMENTS, &flags) == 0 && flags == 0, "no requirements");
  for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); ++slot)
    demand(crypt_keyslot_status(made, slot) == CRYPT_SLOT_INACTIVE, "no keyslots");
  int ours = 0;
  for (int slot = 0; slot < 32; ++slot)
    if (const char* type = nullptr; crypt_token_status(made, slot, &type) != CRYPT_TOKEN_INACTIVE) ++ours;
  demand(ours == 1, "one token");
}

json::object metadata(const dm::LuksHeader& header) {
  return json::parse(dm::read_header_copies(header.bytes()).newest().json).as_object();
}

// The library takes numbers in any spelling, and has no word for the work that a digest asks for.
void check_digest(const json::object& header) {
  const json::value& iterations = header.at("digests").at("0").at("iterations");
  demand(iterations.is_int64() && iterations.get_int64() > 0 && iterations.get_int64() <= 1'000'000, "iterations");
}

void check_written_and_read_again(const Bytes& area, std::uint64_t size) {
  dm::LuksHeader header = dm::LuksHeader::from_bytes(area, size, "again");
  header.check_description();
  demand(header.facts().copies == Copies::both_good && header.bytes() == area, "a whole header is read as it is");
  const json::object before = metadata(header);
  check_digest(before);
  const dm::Token token = header.token();
  dm::Token next = token;
  next.nonce[0] ^= 1;
  next.wrapped_dek[0] ^= 1;
  header.replace_token(next);
  demand(header.token() == next && header.facts().description == token.description, "the new token is there");
  header.replace_token(token);
  header.check_description();
  demand(metadata(header) == before, "with the old token back, the metadata are what they were");
}

void check_header(const Bytes& area, std::uint64_t size) {
  dm::LuksHeader header = dm::LuksHeader::from_bytes(area, size, "fuzz");
  const Bytes whole = header.bytes();
  demand(dm::read_header_copies(whole).both_good(), "an opened header has two good copies that say the same");
  dm::LuksHeader again = dm::LuksHeader::from_bytes(whole, size, "fuzz");
  demand(again.token() == header.token() && again.bytes() == whole, "and opens from them in the same way");
  header.check_description();
  check_library_agrees(whole, size, header.token());
  check_written_and_read_again(whole, size);
}

void check_copies(const Bytes& area) {
  const dm::HeaderCopies copies = dm::read_header_copies(area);
  if (!copies.any_good()) return;
  const dm::HeaderCopies both = dm::read_header_copies(dm::with_both_copies_from_newest(area));
  demand(both.both_good(), "a repaired area has two good copies");
  demand(both.primary.json == copies.newest().json && both.secondary.json == copies.newest().json &&
             both.newest().sequence == copies.newest().sequence,
         "of the newest one");
}

bool is_promised(const Error& error) {
  for (errc cause : {errc::not_ours, errc::device_all_zero, errc::device_unreadable, errc::header_damaged,
                     errc::header_changed, errc::token_malformed, errc::token_version})
    if (error.code() == cause) return true;
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Recipe recipe = read_recipe({reinterpret_cast<const char*>(data), size});
  const Bytes area = cook(recipe);
  check_copies(area);
  try {
    check_header(area, recipe.size);
  } catch (const Error& error) {
    if (!is_promised(error)) std::cerr << error.what() << '\n';
    demand(is_promised(error), "the cause of a refusal");
  }
  return 0;
}
