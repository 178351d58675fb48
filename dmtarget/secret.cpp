// Secrets in OpenSSL's secure heap, see secret.hpp. The heap is one arena per process: mapped between guard pages,
// locked, and marked MADV_DONTDUMP; OpenSSL reports "not fully protected" as 2, which we refuse.
#include "dmtarget/secret.hpp"

#include <openssl/crypto.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <string>
#include <utility>

#include "dmtarget/error.hpp"

namespace volcrypt {
namespace {

constexpr std::size_t default_heap = 256 * 1024;
constexpr std::size_t smallest_block = 32;

std::mutex heap_mutex;
std::size_t heap_size = 0;  // guarded by heap_mutex; 0: not reserved yet

std::string present_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "unknown";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur) + " bytes";
}

void reserve_locked(std::size_t bytes) {
  int outcome = CRYPTO_secure_malloc_init(bytes, smallest_block);
  if (outcome == 1) {
    heap_size = bytes;
    return;
  }
  if (outcome == 2) CRYPTO_secure_malloc_done();
  throw Error(errc::no_lockable_memory,
              {"lock", std::to_string(bytes) + " bytes of memory",
               "Raise RLIMIT_MEMLOCK, which is " + present_limit() +
                   " now (systemd: LimitMEMLOCK=, shell: ulimit -l), or leave the process CAP_IPC_LOCK."});
}

std::uint8_t* allocate(std::size_t size) {
  if (size == 0) return nullptr;
  {
    std::lock_guard lock(heap_mutex);
    if (heap_size == 0) reserve_locked(default_heap);
  }
  void* memory = OPENSSL_secure_malloc(size);
  if (memory == nullptr) {
    throw Error(errc::limit_exceeded, {"find " + std::to_string(size) + " bytes in", "the locked memory for secrets",
                                       "Try again when other requests have finished."});
  }
  auto* bytes = static_cast<std::uint8_t*>(memory);
  std::fill_n(bytes, size, std::uint8_t{0});
  return bytes;
}

}  // namespace

void reserve_secret_memory(std::size_t bytes) {
  if (!std::has_single_bit(bytes)) {
    throw Error(errc::invalid_argument, {"reserve", std::to_string(bytes) + " bytes of memory for secrets",
                                         "The size must be a power of two."});
  }
  std::lock_guard lock(heap_mutex);
  if (heap_size >= bytes) return;
  if (heap_size != 0) {
    throw Error(errc::wrong_state,
                {"enlarge", "the memory for secrets", "Reserve it before the first Secret is made."});
  }
  reserve_locked(bytes);
}

Secret::Secret(std::size_t size) : data_(allocate(size)), size_(size) {}

Secret Secret::random(std::size_t size) {
  Secret secret(size);
  fill_random(secret.writable());
  return secret;
}

Secret Secret::copy_of(ByteView bytes) {
  Secret secret(bytes.size());
  std::copy(bytes.begin(), bytes.end(), secret.data_);
  return secret;
}

Secret Secret::take(std::span<std::uint8_t> bytes) {
  Secret secret = copy_of(bytes);
  wipe(bytes);
  return secret;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

// The old bytes are wiped now, not when `other` ends.
Secret& Secret::operator=(Secret&& other) noexcept {
  Secret taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

Secret::~Secret() {
  if (data_ != nullptr) OPENSSL_secure_clear_free(data_, size_);
}

Secret Secret::clone() const { return copy_of(view()); }

bool equals(const Secret& a, const Secret& b) noexcept {
  if (a.size() != b.size()) return false;
  return a.size() == 0 || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::span<std::uint8_t> bytes) noexcept {
  if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
}

// Not inlined: the frame has to lie below the caller's.
[[gnu::noinline]] void wipe_dead_stack() noexcept {
  std::array<std::uint8_t, 64 * 1024> frame;  // NOLINT: written by wipe only
  wipe(frame);
}

}  // namespace volcrypt
