// See tcti_proxy.hpp.
#include "tests/support/tcti_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "dmtarget/handle.hpp"

namespace volcrypt::test {
namespace {

constexpr std::size_t header_size = 10;  // tag, size, code (TPM 2.0 Part 1 section 18)

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof(address.sun_path)) throw std::runtime_error("socket path too long");
  std::strcpy(address.sun_path, path.c_str());
  return address;
}

std::uint32_t number_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | static_cast<std::uint32_t>(bytes[at + 3]);
}

void put_number(Bytes& bytes, std::size_t at, std::size_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

bool receive(int fd, std::uint8_t* into, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::recv(fd, into, size, 0);
    if (count <= 0) return false;
    into += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

// One whole command or answer; empty when the other side has closed.
std::optional<Bytes> receive_message(int fd) {
  Bytes message(header_size);
  if (!receive(fd, message.data(), header_size)) return std::nullopt;
  const std::size_t size = number_at(message, 2);
  if (size < header_size || size > 8192) return std::nullopt;
  message.resize(size);
  if (!receive(fd, message.data() + header_size, size - header_size)) return std::nullopt;
  return message;
}

void send_all(int fd, const Bytes& message, std::size_t size) {
  std::size_t sent = 0;
  while (sent < size) {
    const ssize_t count = ::send(fd, message.data() + sent, size - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

Bytes answer_of_code(std::uint32_t code) {
  Bytes answer = {0x80, 0x01, 0, 0, 0, header_size, 0, 0, 0, 0};
  put_number(answer, 6, code);
  return answer;
}

// What is answered in the TPM's place; 0: the TPM is asked.
std::uint32_t code_of(Fault fault) {
  switch (fault) {
    case Fault::busy:
      return 0x922;
    case Fault::yielded:
      return 0x908;
    case Fault::failing:
      return 0x101;
    default:
      return 0;
  }
}

std::optional<Bytes> ask(const std::filesystem::path& upstream, const Bytes& request) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(upstream);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return std::nullopt;
  send_all(fd.get(), request, request.size());
  return receive_message(fd.get());
}

}  // namespace

TctiProxy::TctiProxy(const std::filesystem::path& upstream) : upstream_(upstream) {
  std::string pattern = (std::filesystem::temp_directory_path() / "volcrypt-proxy-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  directory_ = pattern;
  std::filesystem::create_symlink(upstream.string() + ".ctrl", directory_ / "tpm.ctrl");
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(directory_ / "tpm");
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 8) != 0) {
    throw std::system_error(errno, std::generic_category(), "listen");
  }
  thread_ = std::thread([this] { serve(); });
}

TctiProxy::~TctiProxy() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string TctiProxy::tcti() const { return "swtpm:path=" + (directory_ / "tpm").string(); }

std::vector<TctiProxy::Exchange> TctiProxy::take_traffic() {
  const std::lock_guard lock(mutex_);
  return std::exchange(traffic_, {});
}

void TctiProxy::order(const Harm& harm) {
  const std::lock_guard lock(mutex_);
  harm_ = harm;
  seen_ = harmed_ = 0;
}

void TctiProxy::before(std::uint32_t command, unsigned times, std::function<void()> deed) {
  const std::lock_guard lock(mutex_);
  deed_command_ = command;
  deed_times_ = times;
  deed_ = std::move(deed);
}

std::function<void()> TctiProxy::deed_for(std::uint32_t command) {
  const std::lock_guard lock(mutex_);
  if ((deed_command_ != 0 && command != deed_command_) || deed_times_ == 0) return nullptr;
  --deed_times_;
  return deed_;
}

unsigned TctiProxy::harmed() const {
  const std::lock_guard lock(mutex_);
  return harmed_;
}

Fault TctiProxy::fault_for(std::uint32_t command) {
  const std::lock_guard lock(mutex_);
  if (harm_.fault == Fault::none || (harm_.command != 0 && harm_.command != command)) return Fault::none;
  if (seen_++ < harm_.skip || harmed_ >= harm_.times) return Fault::none;
  ++harmed_;
  return harm_.fault;
}

void TctiProxy::serve() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) != 1) continue;
    const Fd client(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (client) serve_client(client.get());
  }
}

void TctiProxy::serve_client(int client) {
  for (;;) {
    pollfd waiting{client, POLLIN, 0};
    while (!stopping_ && ::poll(&waiting, 1, 20) == 0) {
    }
    if (stopping_) return;
    const auto request = receive_message(client);
    if (!request) return;
    const std::uint32_t command = number_at(*request, 6);
    const Fault fault = fault_for(command);
    if (fault == Fault::lost) return;
    if (const std::uint32_t code = code_of(fault); code != 0) {
      send_all(client, answer_of_code(code), header_size);
      continue;
    }
    if (const auto deed = deed_for(command)) deed();
    auto answer = ask(upstream_, *request);
    if (!answer) return;
    {
      const std::lock_guard lock(mutex_);
      traffic_.push_back({command, *request, *answer});
    }
    if (fault == Fault::closed) return;
    if (fault == Fault::flipped) {
      const std::lock_guard lock(mutex_);
      (*answer)[harm_.at % answer->size()] ^= 0x04;
    }
    if (fault == Fault::shortened) {
      answer->resize(std::max(header_size, answer->size() / 2));
      put_number(*answer, 2, answer->size());
    }
    send_all(client, *answer, fault == Fault::cut ? answer->size() / 2 : answer->size());
    if (fault == Fault::cut || fault == Fault::flipped)
      return;  // a size that was flipped upwards must not wait for ever
  }
}

}  // namespace volcrypt::test
