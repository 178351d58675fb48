// The shape of every fuzz target of a text format: any bytes are either refused with a cause that the parser promises,
// or what was read is written and read again as the same. A broken promise aborts, as libFuzzer and corpus_test want.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <string_view>

#include "dmtarget/error.hpp"

namespace volcrypt::fuzz {

inline void demand(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << '\n';
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// `read` takes a text and gives a value, or throws Error with one of `refusals`; `write` gives the value's text.
template <class Read, class Write>
void round_trip(std::string_view text, std::initializer_list<errc> refusals, Read read, Write write) {
  std::string once;
  try {
    once = write(read(text));
  } catch (const Error& error) {
    const bool promised =
        std::any_of(refusals.begin(), refusals.end(), [&](errc cause) { return error.code() == cause; });
    demand(promised, error.what());
    return;
  }
  try {
    demand(write(read(once)) == once, "what was read is written and read as the same");
  } catch (const Error& error) {
    demand(false, error.what());  // what we write we must read
  }
}

}  // namespace volcrypt::fuzz
