// Small files that must survive a power cut: written to a temporary name beside them, fsynced, renamed, the directory
// fsynced, and read back. After a failure at any step the old or the new content is there, never neither. Blocking:
// call on a Worker. One writer per file at a time; any thread. Mode 0600.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::runtime {

// Replaces `file` or makes it. Throws Error with errno (the file is unchanged, or its new content may be lost at a
// power cut).
void write_durably(const std::filesystem::path& file, ByteView content);

// Makes `file`; throws Error(errc::already_exists) and changes nothing when it is there.
void create_durably(const std::filesystem::path& file, ByteView content);

// Empty when the file does not exist; throws errc::limit_exceeded above `limit` bytes, Error with errno for anything
// else: a file that cannot be read is never taken for one that is not there.
std::optional<Bytes> read_file(const std::filesystem::path& file, std::size_t limit);

// The same for a file whose content is a key. The bytes go straight into the Secret.
std::optional<Secret> read_secret_file(const std::filesystem::path& file, std::size_t limit);

// Makes it and what is missing above it, mode 0700, and fsyncs the directory that it is in: without that, a power cut
// takes the new directory away with all that is in it. No error when it is there already.
void make_directory_durably(const std::filesystem::path& directory);

// Unlinks and fsyncs the directory. No error when the file is gone already.
void remove_durably(const std::filesystem::path& file);

}  // namespace volcrypt::runtime
