// LibraryTurn: one caller at a time in libdevmapper and libcryptsetup. The first keeps its log, its control descriptor
// and its caches in static variables, and the second calls it: one mutex for both. Not recursive. Any thread.
#pragma once

#include <chrono>
#include <string>

namespace volcrypt::dm {

class LibraryTurn {
 public:
  // How long udev may hold up an activation before the others stop waiting for it; a killed udev worker never answers.
  static constexpr std::chrono::seconds udev_patience{30};

  // Waits for the turn. Throws Error(errc::timed_out), naming udev and who waits for it, when another thread's
  // UdevWait has lasted `patience`: it may last for ever, and nobody else can end it.
  explicit LibraryTurn(std::chrono::milliseconds patience = udev_patience);
  LibraryTurn(const LibraryTurn&) = delete;
  LibraryTurn& operator=(const LibraryTurn&) = delete;
  ~LibraryTurn();
};

// While it lives, the turn's holder is in a call that waits for udev without a limit. Made and ended under a turn.
class UdevWait {
 public:
  explicit UdevWait(const std::string& mapping_name);
  UdevWait(const UdevWait&) = delete;
  UdevWait& operator=(const UdevWait&) = delete;
  ~UdevWait();
};

}  // namespace volcrypt::dm
