// Reads the vectors of tests/data: flat JSON objects of hex strings, texts and numbers. Tests only.
#pragma once

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "dmtarget/bytes.hpp"

namespace volcrypt::tests {

class Vectors {
 public:
  explicit Vectors(const std::string& file) : object_(parse(file).as_object()) {}
  explicit Vectors(boost::json::object object) : object_(std::move(object)) {}

  std::string text(const char* key) const { return std::string(object_.at(key).as_string()); }
  Bytes hex(const char* key) const { return from_hex(text(key)); }
  std::uint64_t number(const char* key) const { return object_.at(key).to_number<std::uint64_t>(); }
  const boost::json::array& list(const char* key) const { return object_.at(key).as_array(); }

 private:
  static boost::json::value parse(const std::string& file) {
    std::ifstream in(VOLCRYPT_TEST_DATA "/" + file);
    if (!in) throw std::runtime_error("no vectors in " + file);
    return boost::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  }

  boost::json::object object_;
};

}  // namespace volcrypt::tests
