// Rendering and reading of crypt table lines, see table.hpp.
#include "dmtarget/table.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <vector>

#include "dmtarget/error.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::uint32_t kernel_sector = 512;

[[noreturn]] void refuse(const std::string& rule) {
  throw Error(errc::invalid_argument, {"write", "a crypt table line", rule});
}

// The line itself is not shown: what is not a keyring reference may be a key.
[[noreturn]] void unreadable(const std::string& rule) {
  throw Error(errc::unknown_outcome, {"recognise", "a mapping by its table line", rule});
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  while (!line.empty()) {
    std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) found.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return found;
}

template <class Number>
std::optional<Number> decimal(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<KeyReference> read_reference(std::string_view field) {
  constexpr std::string_view type = ":logon:";
  if (!field.starts_with(':')) return std::nullopt;
  field.remove_prefix(1);
  std::size_t colon = field.find(':');
  if (colon == std::string_view::npos || !field.substr(colon).starts_with(type)) return std::nullopt;
  auto bytes = decimal<std::uint32_t>(field.substr(0, colon));
  std::string_view description = field.substr(colon + type.size());
  if (!bytes || *bytes == 0 || description.empty()) return std::nullopt;
  return KeyReference{*bytes, std::string(description)};
}

void check_field(std::string_view field, const char* what) {
  bool one_word =
      !field.empty() && std::none_of(field.begin(), field.end(), [](char c) { return c <= ' ' || c > '~'; });
  if (!one_word) refuse(std::string("The ") + what + " must be one word of printable characters.");
}

void check(const CryptTarget& target) {
  check_field(target.cipher, "cipher");
  check_field(target.key.description, "key description");
  check_field(target.device, "device");
  if (target.key.bytes == 0) refuse("The key must have a size.");
  bool size_known = std::has_single_bit(target.sector_size) && target.sector_size >= 512 && target.sector_size <= 4096;
  if (!size_known) refuse("The sector size must be a power of two from 512 to 4096 bytes.");
  std::uint64_t step = target.sector_size / kernel_sector;
  if (target.sectors == 0 || target.sectors % step != 0 || target.offset % step != 0) {
    refuse("The length (above 0) and the offset must be whole numbers of encryption sectors.");
  }
}

// One word of the kernel's optional parameters. The two workqueue flags are one choice of ours.
struct SeenOptions {
  bool no_read = false, no_write = false;
};

void apply_option(std::string_view option, CryptTarget& target, SeenOptions& seen) {
  constexpr std::string_view sector_size = "sector_size:";
  if (option == "allow_discards") {
    target.discards = Discards::passed_down;
  } else if (option == "no_read_workqueue") {
    seen.no_read = true;
  } else if (option == "no_write_workqueue") {
    seen.no_write = true;
  } else if (option.starts_with(sector_size)) {
    auto bytes = decimal<std::uint32_t>(option.substr(sector_size.size()));
    if (!bytes) unreadable("Its sector size is not a number.");
    target.sector_size = *bytes;
  } else {
    unreadable("It has the option " + quoted(option) + ", which volcrypt does not use.");
  }
}

void read_options(const std::vector<std::string_view>& options, CryptTarget& target) {
  target.sector_size = kernel_sector;
  SeenOptions seen;
  for (std::string_view option : options) apply_option(option, target, seen);
  if (seen.no_read != seen.no_write) unreadable("It bypasses one of the two workqueues only.");
  target.workqueues = seen.no_read ? Workqueues::bypassed : Workqueues::used;
}

}  // namespace

std::string render(const CryptTarget& target) {
  check(target);
  std::vector<std::string> options;
  if (target.discards == Discards::passed_down) options.emplace_back("allow_discards");
  if (target.workqueues == Workqueues::bypassed) {
    options.emplace_back("no_read_workqueue");
    options.emplace_back("no_write_workqueue");
  }
  if (target.sector_size != kernel_sector) options.push_back("sector_size:" + std::to_string(target.sector_size));

  std::string line = "0 " + std::to_string(target.sectors) + " crypt " + target.cipher + " :" +
                     std::to_string(target.key.bytes) + ":logon:" + target.key.description + " 0 " + target.device +
                     " " + std::to_string(target.offset);
  if (!options.empty()) line += " " + std::to_string(options.size());
  for (const std::string& option : options) line += " " + option;
  return line;
}

CryptTarget parse_crypt(std::string_view line) {
  std::vector<std::string_view> fields = words(line);
  if (fields.size() < 8 || fields[0] != "0" || fields[2] != "crypt") unreadable("It is not one crypt target.");
  auto sectors = decimal<std::uint64_t>(fields[1]);
  auto reference = read_reference(fields[4]);
  auto offset = decimal<std::uint64_t>(fields[7]);
  if (!reference) unreadable("Its key is not a reference to the kernel keyring.");
  if (!sectors || !offset || fields[5] != "0") unreadable("Its length or offsets are not those of a volume.");

  CryptTarget target;
  target.sectors = *sectors;
  target.cipher = fields[3];
  target.key = *reference;
  target.device = fields[6];
  target.offset = *offset;
  std::vector<std::string_view> options;
  if (fields.size() > 8) {
    options.assign(fields.begin() + 9, fields.end());
    if (decimal<std::size_t>(fields[8]) != options.size()) unreadable("Its options do not have the number it states.");
  }
  read_options(options, target);
  return target;
}

bool key_is_reference(std::string_view crypt_parameters) {
  std::vector<std::string_view> fields = words(crypt_parameters);
  return fields.size() >= 2 && read_reference(fields[1]).has_value();
}

}  // namespace volcrypt::dm
