// Unix socket files by system calls.
#include "agent/http/socket_file.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dmtarget/error.hpp"

namespace volcrypt::http {

namespace {

constexpr int backlog = 1024;  // a boot with many drives connects all at once; the kernel caps it at somaxconn

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    throw Error(errc::invalid_argument,
                {"use the socket", text, "A socket's path has at most 107 bytes; choose a shorter one."});
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

// sockaddr is C's own base class: the cast is how the interface is meant.
const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

Fd new_socket(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw Error(errno_code(errno), {"make the socket", path, ""});
  return socket;
}

// Throws unless the name is free or a socket that nobody listens on.
void check_replaceable(const std::filesystem::path& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    throw Error(errno_code(errno), {"look at", path.native(), ""});
  }
  if (!S_ISSOCK(found.st_mode)) {
    throw Error(errc::name_taken,
                {"listen on", path.native(), "Something that is not a socket has this name; move it away."});
  }
  const auto address = address_of(path);
  const Fd probe = new_socket(path.native());
  if (::connect(probe.get(), generic(address), sizeof address) == 0) {
    throw Error(errc::already_exists, {"listen on", path.native(), "Another agent runs; stop it first."});
  }
}

}  // namespace

void ListeningFile::unlink() noexcept {
  struct stat found {};
  if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

ListeningFile listen_on(const SocketFile& file) {
  check_replaceable(file.path);
  const std::filesystem::path temporary = file.path.native() + ".new";
  const auto address = address_of(temporary);
  Fd listener = new_socket(temporary.native());
  ::unlink(temporary.c_str());  // of an earlier start that was cut off
  const auto failed = [&](const char* step) {
    const int cause = errno;
    ::unlink(temporary.c_str());
    return Error(errno_code(cause), {step, file.path.native(), ""});
  };
  // Not listening yet: until the rename a client is refused, whatever the umask made of the mode.
  if (::bind(listener.get(), generic(address), sizeof address) != 0) throw failed("bind the socket");
  if (file.group && ::chown(temporary.c_str(), static_cast<uid_t>(-1), *file.group) != 0) {
    throw failed("give to its group the socket");
  }
  if (::chmod(temporary.c_str(), file.mode) != 0) throw failed("set the mode of the socket");
  struct stat made {};
  if (::lstat(temporary.c_str(), &made) != 0) throw failed("look at the socket");
  if (::listen(listener.get(), backlog) != 0) throw failed("listen on");
  if (::rename(temporary.c_str(), file.path.c_str()) != 0) throw failed("name the socket");
  return {std::move(listener), file.path, made.st_dev, made.st_ino};
}

Fd connect_to(const std::filesystem::path& path, std::chrono::milliseconds deadline) {
  const auto address = address_of(path);
  Fd socket = new_socket(path.native());
  // A non-blocking connect(2) to a full backlog fails with EAGAIN instead of waiting, and Asio then takes the socket
  // for connected. A blocking one waits as long as the send timeout (unix(7), socket(7)).
  timeval wait{};
  wait.tv_sec = deadline.count() / 1000;
  wait.tv_usec = deadline.count() % 1000 * 1000;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
      ::connect(socket.get(), generic(address), sizeof address) != 0) {
    throw Error(errno_code(errno), {"connect to", path.native(), ""});
  }
  return socket;
}

}  // namespace volcrypt::http
