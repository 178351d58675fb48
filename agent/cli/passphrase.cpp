// Reading of passphrases by read(2) straight into locked memory: no stdio, no iostream, whose buffers stay behind.
#include "agent/cli/passphrase.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/cli/exit_status.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::cli {

namespace {

constexpr std::uint8_t backspace = 0x7f, control_h = 0x08, control_u = 0x15, control_c = 0x03, control_d = 0x04;

Secret first_bytes(const Secret& buffer, std::size_t size) { return Secret::copy_of(buffer.view().first(size)); }

ssize_t read_some(int descriptor, std::uint8_t* into, std::size_t size) {
  for (;;) {
    const auto count = ::read(descriptor, into, size);
    if (count >= 0 || errno != EINTR) return count;
  }
}

void say(int terminal, const std::string& text) {
  // A prompt that cannot be shown is seen by the user at once.
  static_cast<void>(!::write(terminal, text.data(), text.size()));
}

// Without echo and without the line editor: with it, a typed Ctrl-C would end us and leave the terminal dumb.
class Quiet {
 public:
  explicit Quiet(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal_, &before_) != 0) {
      throw Failure(ExitStatus::failed,
                    std::string("cannot switch off the terminal's echo: ") + std::strerror(errno) + ".");
    }
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    if (::tcsetattr(terminal_, TCSAFLUSH, &quiet) != 0) {
      throw Failure(ExitStatus::failed,
                    std::string("cannot switch off the terminal's echo: ") + std::strerror(errno) + ".");
    }
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() { ::tcsetattr(terminal_, TCSAFLUSH, &before_); }

 private:
  int terminal_;
  termios before_{};
};

Secret ask(int terminal, const std::string& prompt) {
  say(terminal, prompt);
  const Quiet quiet(terminal);
  Secret typed(passphrase_limit);
  Secret key(1);
  std::size_t size = 0;
  for (;;) {
    if (read_some(terminal, key.data(), 1) != 1 || *key.data() == control_c ||
        (*key.data() == control_d && size == 0)) {
      say(terminal, "\n");
      throw Failure(ExitStatus::failed, "cannot read the passphrase: called off.");
    }
    const std::uint8_t c = *key.data();
    if (c == '\n' || c == '\r') break;
    if (c == backspace || c == control_h) {
      // One character, which may be several bytes of UTF-8.
      while (size > 0 && (typed.data()[--size] & 0xc0) == 0x80) continue;
    } else if (c == control_u) {
      size = 0;
    } else if (size == typed.size()) {
      throw Failure(ExitStatus::usage, "cannot use the passphrase: it is longer than 1024 bytes.");
    } else {
      typed.data()[size++] = c;
    }
  }
  say(terminal, "\n");
  return first_bytes(typed, size);
}

Secret ask_on_terminal(const std::string& purpose, Asking asking) {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) {
    throw Failure(ExitStatus::usage, "cannot ask for the passphrase of " + purpose +
                                         ": there is no terminal. Give it by --passphrase-fd, for example "
                                         "--passphrase-fd 3 3<FILE.");
  }
  Secret passphrase = ask(terminal.get(), "Passphrase of " + purpose + ": ");
  if (asking == Asking::twice && !equals(passphrase, ask(terminal.get(), "The same again: "))) {
    throw Failure(ExitStatus::usage,
                  "cannot use the passphrase of " + purpose + ": the two differ. Nothing was changed.");
  }
  return passphrase;
}

}  // namespace

Secret read_passphrase(int descriptor) {
  Secret buffer(passphrase_limit + 2);  // room for the newline, and for one byte too many
  std::size_t size = 0;
  while (size < buffer.size()) {
    const auto count = read_some(descriptor, buffer.data() + size, buffer.size() - size);
    if (count < 0) {
      throw Failure(ExitStatus::usage, "cannot read the passphrase from descriptor " + std::to_string(descriptor) +
                                           ": " + std::strerror(errno) + ". Open it for reading, for example 3<FILE.");
    }
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > 0 && size <= passphrase_limit + 1 && buffer.data()[size - 1] == '\n') --size;
  if (size > passphrase_limit)
    throw Failure(ExitStatus::usage, "cannot use the passphrase: it is longer than 1024 bytes.");
  return first_bytes(buffer, size);
}

Secret Passphrases::next(const std::string& purpose, Asking asking) {
  const bool named = used_ < descriptors_.size();
  Secret passphrase = named ? read_passphrase(descriptors_[used_++]) : ask_on_terminal(purpose, asking);
  if (passphrase.size() == 0)
    throw Failure(ExitStatus::usage, "cannot use the passphrase of " + purpose + ": it is empty.");
  if (asking == Asking::twice && passphrase.size() < new_passphrase_minimum) {
    throw Failure(ExitStatus::usage, "cannot use the passphrase of " + purpose + ": it is shorter than 8 bytes.");
  }
  return passphrase;
}

}  // namespace volcrypt::cli
