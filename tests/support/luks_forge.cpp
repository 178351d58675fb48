// Forging of LUKS2 headers, see luks_forge.hpp.
#include "tests/support/luks_forge.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace volcrypt::test {
namespace {

constexpr std::size_t copy_size = 16384, json_at = 4096, checksum_at = 448, checksum_size = 64;

struct FieldPlace {
  std::size_t offset, size;
};

FieldPlace place_of(Field field) {
  switch (field) {
    case Field::label:
      return {24, 48};
    case Field::uuid:
      return {168, 40};
    case Field::subsystem:
      return {208, 48};
  }
  throw std::logic_error("field");
}

void put_text(std::span<std::uint8_t> place, const std::string& text) {
  if (text.size() >= place.size()) throw std::runtime_error("forged text is too long");
  std::fill(place.begin(), place.end(), std::uint8_t{0});
  std::copy(text.begin(), text.end(), place.begin());
}

boost::json::object parse_metadata(std::span<const std::uint8_t> copy) {
  std::string text(copy.begin() + json_at, std::find(copy.begin() + json_at, copy.end(), 0));
  return boost::json::parse(text).as_object();
}

// Changes both copies of the file, each by `change`, and sets the checksums.
void edit_copies(const std::string& file, const std::function<void(std::span<std::uint8_t>)>& change) {
  Bytes area = content_of(file, 2 * copy_size);
  change(std::span(area).first(copy_size));
  change(std::span(area).subspan(copy_size));
  set_checksums(area);
  overwrite(file, 0, area);
}

}  // namespace

boost::json::object metadata_of(const std::string& file) { return parse_metadata(content_of(file, copy_size)); }

void edit_metadata(const std::string& file, const std::function<void(boost::json::object&)>& edit) {
  edit_copies(file, [&edit](std::span<std::uint8_t> copy) {
    boost::json::object metadata = parse_metadata(copy);
    edit(metadata);
    put_text(copy.subspan(json_at), boost::json::serialize(metadata));
  });
}

void edit_field(const std::string& file, Field field, const std::string& text) {
  FieldPlace place = place_of(field);
  edit_copies(file, [&](std::span<std::uint8_t> copy) { put_text(copy.subspan(place.offset, place.size), text); });
}

void damage_copy(const std::string& file, Copy copy) {
  std::size_t middle = (copy == Copy::primary ? 0 : copy_size) + json_at + 100;
  Bytes byte = content_of(file, middle + 1);
  std::uint8_t flipped = byte.back() ^ 0x01;
  overwrite(file, middle, ByteView(&flipped, 1));
}

void make_newest(const std::string& file, Copy copy) {
  constexpr std::size_t sequence_at = 16;  // 8 bytes, big-endian: the second byte is far above any other's
  Bytes area = content_of(file, 2 * copy_size);
  area[(copy == Copy::primary ? 0 : copy_size) + sequence_at + 1] = 1;
  set_checksums(area);
  overwrite(file, 0, area);
}

void set_checksums(std::span<std::uint8_t> area) {
  for (std::size_t start : {std::size_t{0}, copy_size}) {
    std::span<std::uint8_t> copy = area.subspan(start, copy_size);
    std::fill_n(copy.begin() + checksum_at, checksum_size, std::uint8_t{0});
    std::uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(copy.data(), copy.size(), digest);
    std::copy(std::begin(digest), std::end(digest), copy.begin() + checksum_at);
  }
}

Bytes content_of(const std::string& file, std::size_t limit) {
  std::ifstream in(file, std::ios::binary);
  Bytes bytes(std::min<std::uintmax_t>(limit, std::filesystem::file_size(file)));
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

void overwrite(const std::string& file, std::uint64_t offset, ByteView bytes) {
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::streamoff>(offset));
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

}  // namespace volcrypt::test
