// Files that volcryptctl reads and writes for the operator. Not for keys: those have AdminKey. One thread.
#pragma once

#include <filesystem>
#include <string>

#include "dmtarget/bytes.hpp"

namespace volcrypt::cli {

inline constexpr std::size_t header_file_limit = 1024 * 1024;  // bytes; a header's two copies have 32 KiB

// A device that the agent is to use, absolute: the agent has another working directory. Throws Failure(usage) for "",
// Failure(not_found) when nothing is there.
std::string device_path(const std::string& path);

// Throws Failure when the file cannot be read or is longer than `limit`.
Bytes read_whole_file(const std::filesystem::path& file, std::size_t limit);

// A new file of mode 0600, on disk when this returns. Throws Failure(refused) when there is one of that name.
void write_new_file(const std::filesystem::path& file, ByteView content);

}  // namespace volcrypt::cli
