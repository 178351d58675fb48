// The file of a listening unix socket: made under a temporary name with its owner and mode, then renamed, so that it is
// never there with another mode; replaced only when nobody answers on it. Plain system calls, no Asio. Any thread.
#pragma once

#include "agent/http/server.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::http {

class ListeningFile {
 public:
  ListeningFile(Fd listener, std::filesystem::path path, dev_t device, ino_t inode)
      : listener_(std::move(listener)), path_(std::move(path)), device_(device), inode_(inode) {}

  int release_listener() noexcept { return listener_.release(); }
  // Only while the name still stands for this very socket: a successor may have replaced it.
  void unlink() noexcept;

 private:
  Fd listener_;
  std::filesystem::path path_;
  dev_t device_;
  ino_t inode_;
};

// Throws Error(errc::already_exists) when a process listens there already, errc::name_taken when something that is not
// a socket stands there, errc::invalid_argument for a path over 107 bytes (unix(7)), errno for the rest.
ListeningFile listen_on(const SocketFile& file);

// A connected blocking socket; `deadline` bounds the wait for a full backlog. Throws Error with errno.
Fd connect_to(const std::filesystem::path& path, std::chrono::milliseconds deadline);

}  // namespace volcrypt::http
