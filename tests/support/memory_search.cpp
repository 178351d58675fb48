// Reads /proc/self/maps and /proc/self/mem; see memory_search.hpp. Source: proc(5).
#include "tests/support/memory_search.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "dmtarget/handle.hpp"

namespace volcrypt::tests {
namespace {

constexpr std::uint8_t mask = 0xA5;
constexpr std::size_t piece = 16;
constexpr std::uint64_t largest = 1ULL << 36;  // larger is a sanitizer's shadow, which holds no bytes of the program

// What is read lands here, masked as the needle is; this place is not searched.
std::array<std::uint8_t, 1 << 16> window;

struct Mapping {
  std::uint64_t begin = 0, end = 0;
  std::string name;
};

std::vector<Mapping> readable_mappings() {
  std::vector<Mapping> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &mapping.begin, &mapping.end, rights) != 3) continue;
    mapping.name = line;
    if (rights[0] == 'r' && mapping.end - mapping.begin < largest) mappings.push_back(std::move(mapping));
  }
  if (mappings.empty()) throw std::runtime_error("no mappings in /proc/self/maps");
  return mappings;
}

bool touches(std::uint64_t address, ByteView place) {
  const auto begin = reinterpret_cast<std::uintptr_t>(place.data());
  return address + piece > begin && address < begin + place.size();
}

}  // namespace

Needle::Needle(std::string name, ByteView secret) : name_(std::move(name)), masked_() {
  for (const std::uint8_t byte : secret) masked_.push_back(byte ^ mask);
  if (masked_.size() < piece) throw std::invalid_argument("a needle has at least 16 bytes");
}

std::vector<std::string> Needle::find_in_own_memory(ByteView apart_from) const {
  std::vector<std::string> places;
  const Fd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  if (!memory) throw std::runtime_error("cannot open /proc/self/mem");
  for (const Mapping& mapping : readable_mappings()) {
    // Blocks overlap by one piece less a byte, so nothing hides between two of them.
    for (std::uint64_t at = mapping.begin; at + piece <= mapping.end; at += window.size() - piece + 1) {
      const std::size_t size = std::size_t(std::min<std::uint64_t>(window.size(), mapping.end - at));
      const ssize_t got = pread(memory.get(), window.data(), size, off_t(at));
      if (got < ssize_t(piece)) continue;  // the kernel's own pages ([vvar]) cannot be read this way
      for (ssize_t offset = 0; offset < got; ++offset) window[std::size_t(offset)] ^= mask;
      for (std::size_t part = 0; part + piece <= masked_.size(); part += piece) {
        const std::uint8_t *from = window.data(), *end = window.data() + got;
        while (const void* hit = memmem(from, std::size_t(end - from), masked_.data() + part, piece)) {
          from = static_cast<const std::uint8_t*>(hit) + 1;
          const std::uint64_t place = at + std::uint64_t(from - 1 - window.data());
          if (touches(place, window) || touches(place, apart_from)) continue;
          char text[64];
          std::snprintf(text, sizeof text, " +%zu at %" PRIx64 " in ", part, place);
          places.push_back(name_ + text + mapping.name);
        }
      }
    }
  }
  return places;
}

}  // namespace volcrypt::tests
