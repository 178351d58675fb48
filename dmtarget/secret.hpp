// Secret: the only home of key bytes. Move-only, its size is fixed at birth, it lives in locked pages that are kept out
// of core dumps (OpenSSL's secure heap), and it is wiped when it ends. It has no printer and no ==. Not for passphrases
// typed by people only: those are Secrets too. Thread: any; one Secret is used by one thread at a time.
// A program that links this file has another heap for OpenSSL: everything that OpenSSL frees is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dmtarget/bytes.hpp"

namespace volcrypt {

// Call once at the start of a program, before the first Secret. Reserves and locks `bytes` (a power of two) of memory.
// Throws Error(errc::no_lockable_memory) that names RLIMIT_MEMLOCK and its present value if pages cannot be locked.
// Tests and tools that never call it get a 256 KiB heap at the first Secret.
void reserve_secret_memory(std::size_t bytes);

class Secret {
 public:
  explicit Secret(std::size_t size);       // zero bytes; throws Error(errc::limit_exceeded) when the heap is full
  static Secret random(std::size_t size);  // from the operating system's generator
  static Secret copy_of(ByteView bytes);   // the caller still has to wipe its own copy: see take()
  static Secret take(std::span<std::uint8_t> bytes);  // copies, then wipes the source

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  std::size_t size() const noexcept { return size_; }
  std::uint8_t* data() noexcept { return data_; }
  const std::uint8_t* data() const noexcept { return data_; }
  ByteView view() const noexcept { return {data_, size_}; }
  std::span<std::uint8_t> writable() noexcept { return {data_, size_}; }
  Secret clone() const;

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// Constant time in the content; the sizes are not secret.
bool equals(const Secret& a, const Secret& b) noexcept;

// Wipes memory that is not a Secret (a library's buffer), in a way that the compiler cannot drop.
void wipe(std::span<std::uint8_t> bytes) noexcept;

// Zeroes the vector registers that a call may change. memcpy and ciphers leave key bytes in them, and the dynamic
// linker saves them on the stack, unwiped, when a library's function is called for the first time
// (_dl_runtime_resolve_xsavec); a signal does the same. Copying a Secret and ending one do it by themselves.
void wipe_registers() noexcept;

// Wipes 64 KiB of stack below the caller: what the frames of finished calls left there, and the vector registers.
// Optimised cryptographic code keeps copies of keys in its frames; OpenSSL's and tpm2-tss's deepest paths stay below
// 32 KiB.
void wipe_dead_stack() noexcept;

// The first local of a function that handles key bytes: wipes after every other local has ended.
struct StackWiper {
  StackWiper() = default;
  StackWiper(const StackWiper&) = delete;
  StackWiper& operator=(const StackWiper&) = delete;
  ~StackWiper() { wipe_dead_stack(); }
};

// The key of one volume: 512 bits for aes-xts-plain64 (two AES-256 keys).
inline constexpr std::size_t volume_key_size = 64;

}  // namespace volcrypt
