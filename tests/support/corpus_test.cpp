// Runs a fuzz target's entry point over its corpus, so that every compiler and sanitizer sees the inputs that once
// mattered. A broken promise aborts the program, as it does under libFuzzer. Tests only.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::uint8_t> content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_input_of_the_corpus_keeps_the_promises) {
  std::size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(VOLCRYPT_CORPUS)) {
    BOOST_TEST_CONTEXT(entry.path().filename().string()) {
      std::vector<std::uint8_t> whole = content(entry.path());
      BOOST_TEST(LLVMFuzzerTestOneInput(whole.data(), whole.size()) == 0);
      for (std::size_t size = 0; size < whole.size(); size += 7) LLVMFuzzerTestOneInput(whole.data(), size);
      ++inputs;
    }
  }
  BOOST_TEST(inputs >= 1U);
}
