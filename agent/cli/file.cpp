// The operator's files, over runtime/durable_file.
#include "agent/cli/file.hpp"

#include "agent/cli/exit_status.hpp"
#include "agent/runtime/durable_file.hpp"

namespace volcrypt::cli {

std::string device_path(const std::string& path) {
  if (path.empty())
    throw Failure(ExitStatus::usage, "cannot use the device: its path is empty. Give for example /dev/sdb.");
  std::error_code unknown;  // what cannot be looked at is the agent's to judge
  if (std::filesystem::status(path, unknown).type() == std::filesystem::file_type::not_found)
    throw Failure(ExitStatus::not_found,
                  "cannot use " + path + ": there is no such device. `lsblk --paths` lists those of this machine.");
  return std::filesystem::absolute(path).native();
}

Bytes read_whole_file(const std::filesystem::path& file, std::size_t limit) {
  auto content = runtime::read_file(file, limit);
  if (!content) {
    throw Failure(ExitStatus::not_found, "cannot read " + file.native() + ": no such file. Look at the path.");
  }
  return std::move(*content);
}

void write_new_file(const std::filesystem::path& file, ByteView content) {
  try {
    runtime::create_durably(file, content);
  } catch (const Error& error) {
    if (error.code() != errc::already_exists) throw;
    throw Failure(ExitStatus::refused, "cannot write " + file.native() +
                                           ": a file of that name exists. Move it away or choose another name.");
  }
}

}  // namespace volcrypt::cli
