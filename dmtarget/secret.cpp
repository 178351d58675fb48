// Secrets in OpenSSL's secure heap, see secret.hpp. The heap is one arena per process: mapped between guard pages,
// locked, and marked MADV_DONTDUMP; OpenSSL reports "not fully protected" as 2, which we refuse.
#include "dmtarget/secret.hpp"

#include <malloc.h>
#include <openssl/crypto.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
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

// OpenSSL's ordinary heap: what it frees is wiped. OpenSSL 3.0 gives copies of private numbers back as they are
// (the digits of the number in a multiplication on P-256: ecp_nistz256.c, p_str), and so does who uses it.
void* plain_allocate(std::size_t size, const char*, int) { return size == 0 ? nullptr : std::malloc(size); }

void wiping_free(void* memory, const char*, int) {
  if (memory == nullptr) return;
  OPENSSL_cleanse(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

void* wiping_reallocate(void* old, std::size_t size, const char* file, int line) {
  void* fresh = plain_allocate(size, file, line);
  if (old == nullptr || (fresh == nullptr && size != 0)) return fresh;
  if (fresh != nullptr) std::memcpy(fresh, old, std::min(size, ::malloc_usable_size(old)));
  wiping_free(old, file, line);
  return fresh;
}

bool openssl_wipes = false;

// Before all other initializers: OpenSSL refuses once it has allocated anything.
[[gnu::constructor(101)]] void make_openssl_wipe() {
  openssl_wipes = CRYPTO_set_mem_functions(&plain_allocate, &wiping_reallocate, &wiping_free) == 1;
}

std::string present_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "unknown";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur) + " bytes";
}

void reserve_locked(std::size_t bytes) {
  if (!openssl_wipes) {
    throw Error(errc::wrong_state, {"make OpenSSL wipe", "the memory that it frees",
                                    "A library allocated through OpenSSL before the program began: check LD_PRELOAD."});
  }
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
  wipe_registers();
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
  if (data_ == nullptr) return;
  OPENSSL_secure_clear_free(data_, size_);
  wipe_registers();
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
  wipe_registers();
}

// Not inlined: to its caller all of these registers are lost over any call (System V ABI for x86-64, AAPCS64).
[[gnu::noinline]] void wipe_registers() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {  // glibc's memcpy prefers the upper sixteen there
    asm volatile(
        "vpxord %%zmm16, %%zmm16, %%zmm16\n vpxord %%zmm17, %%zmm17, %%zmm17\n vpxord %%zmm18, %%zmm18, %%zmm18\n"
        "vpxord %%zmm19, %%zmm19, %%zmm19\n vpxord %%zmm20, %%zmm20, %%zmm20\n vpxord %%zmm21, %%zmm21, %%zmm21\n"
        "vpxord %%zmm22, %%zmm22, %%zmm22\n vpxord %%zmm23, %%zmm23, %%zmm23\n vpxord %%zmm24, %%zmm24, %%zmm24\n"
        "vpxord %%zmm25, %%zmm25, %%zmm25\n vpxord %%zmm26, %%zmm26, %%zmm26\n vpxord %%zmm27, %%zmm27, %%zmm27\n"
        "vpxord %%zmm28, %%zmm28, %%zmm28\n vpxord %%zmm29, %%zmm29, %%zmm29\n vpxord %%zmm30, %%zmm30, %%zmm30\n"
        "vpxord %%zmm31, %%zmm31, %%zmm31" ::
            : "memory");
  }
  if (__builtin_cpu_supports("avx")) {
    asm volatile("vzeroall" ::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
  } else {
    asm volatile(
        "pxor %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pxor %%xmm2, %%xmm2\n pxor %%xmm3, %%xmm3\n"
        "pxor %%xmm4, %%xmm4\n pxor %%xmm5, %%xmm5\n pxor %%xmm6, %%xmm6\n pxor %%xmm7, %%xmm7\n"
        "pxor %%xmm8, %%xmm8\n pxor %%xmm9, %%xmm9\n pxor %%xmm10, %%xmm10\n pxor %%xmm11, %%xmm11\n"
        "pxor %%xmm12, %%xmm12\n pxor %%xmm13, %%xmm13\n pxor %%xmm14, %%xmm14\n pxor %%xmm15, %%xmm15" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
              "xmm13", "xmm14", "xmm15");
  }
#elif defined(__aarch64__)
  asm volatile(
      "movi v0.2d, #0\n movi v1.2d, #0\n movi v2.2d, #0\n movi v3.2d, #0\n"
      "movi v4.2d, #0\n movi v5.2d, #0\n movi v6.2d, #0\n movi v7.2d, #0\n"
      "movi v16.2d, #0\n movi v17.2d, #0\n movi v18.2d, #0\n movi v19.2d, #0\n"
      "movi v20.2d, #0\n movi v21.2d, #0\n movi v22.2d, #0\n movi v23.2d, #0\n"
      "movi v24.2d, #0\n movi v25.2d, #0\n movi v26.2d, #0\n movi v27.2d, #0\n"
      "movi v28.2d, #0\n movi v29.2d, #0\n movi v30.2d, #0\n movi v31.2d, #0\n" ::
          : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
            "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
#endif
}

}  // namespace volcrypt
