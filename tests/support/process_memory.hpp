// Looks for bytes in the writable memory of this very process, as somebody who reads a core dump would. Tests only.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "dmtarget/handle.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::tests {

// Where `wanted` stands, apart from its own Secret and from the buffer of the search. Each address once.
inline std::vector<std::uintptr_t> find_in_memory(const Secret& wanted) {
  constexpr std::size_t step = 1 << 20;
  std::vector<std::uint8_t> buffer(step + wanted.size());
  auto inside = [](std::uintptr_t address, const std::uint8_t* from, std::size_t size) {
    auto start = reinterpret_cast<std::uintptr_t>(from);
    return start <= address && address < start + size;
  };
  std::vector<std::uintptr_t> found;
  Fd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char mode[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w') continue;
    for (std::uintptr_t at = from; at < to; at += step) {
      ssize_t got =
          ::pread(memory.get(), buffer.data(), std::min<std::size_t>(buffer.size(), to - at), static_cast<off_t>(at));
      if (got < 0) continue;
      auto end = buffer.begin() + got;
      for (auto hit = buffer.begin(); (hit = std::search(hit, end, wanted.view().begin(), wanted.view().end())) != end;
           ++hit) {
        std::uintptr_t address = at + static_cast<std::uintptr_t>(hit - buffer.begin());
        bool known = std::find(found.begin(), found.end(), address) != found.end();
        if (!known && !inside(address, wanted.data(), wanted.size()) &&
            !inside(address, buffer.data(), buffer.size())) {
          found.push_back(address);
        }
      }
    }
  }
  return found;
}

}  // namespace volcrypt::tests
