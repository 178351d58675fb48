// What a drive's cache and a file system's journal still hold back: contents whose file, and names whose directory, was
// not fsynced since they changed. Taken back at a crash, last first, when the plan says so. One thread at a time.
#pragma once

#include <sys/types.h>

#include <string>

namespace volcrypt::failpoint {

// Before a write or truncation of `length` bytes at `offset`.
void remember_content(int fd, off_t offset, std::size_t length);

// A change of names that is about to be made; remembered when it was. What it replaces or removes is kept by a hard
// link beside the plan's directory, in DIRECTORY.names.
class NameChange {
 public:
  static NameChange rename(const std::string& from, const std::string& to);
  static NameChange made(const std::string& path);  // created, or linked
  static NameChange removed(const std::string& path);
  void remember();

 private:
  std::string from_, to_, kept_;  // `to_` came from `from_` (or nowhere) over what is kept (or nothing)
  bool removes_ = false;
};

void flushed(int fd);  // a file: its content; a directory: the names in it
void take_back();      // everything that is still remembered

}  // namespace volcrypt::failpoint
