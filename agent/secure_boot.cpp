// See secure_boot.hpp.
#include "agent/secure_boot.hpp"

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

constexpr const char* variable = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";  // EFI_GLOBAL_VARIABLE
constexpr std::size_t attributes = 4;                                                // bytes before the value

}  // namespace

cluster::SecureBoot read_secure_boot(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / variable;
  const std::optional<Bytes> content = runtime::read_file(file, 64);
  if (!content) return cluster::SecureBoot::absent;
  if (content->size() != attributes + 1 || content->back() > 1)
    throw Error(errc::invalid_argument, {"read", file.native(), "It is neither 0 nor 1."});
  return content->back() == 1 ? cluster::SecureBoot::on : cluster::SecureBoot::off;
}

}  // namespace volcrypt
