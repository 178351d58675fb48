// Owners for what ESAPI hands out, by what ends them: Transient is flushed from the TPM, OpenHandle (a persistent
// object or NV index) is only closed in the ESYS_CONTEXT, Returned<T> is freed, and Wiped<T> is wiped and then freed.
// Mixing the first two either leaks one of three slots or evicts a key. Must not outlive its ESYS_CONTEXT. The TPM's
// worker thread.
#pragma once

#include <tss2/tss2_esys.h>

#include <memory>
#include <utility>

#include "dmtarget/handle.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys::tpm {

template <class T>
using Returned = std::unique_ptr<T, FreeWith<&Esys_Free>>;

struct WipeAndFree {
  template <class T>
  void operator()(T* object) const noexcept {
    wipe({reinterpret_cast<std::uint8_t*>(object), sizeof(T)});
    Esys_Free(object);
  }
};
template <class T>
using Wiped = std::unique_ptr<T, WipeAndFree>;

// A handle of one ESYS_CONTEXT and the call that ends it.
template <auto End>
class Held {
 public:
  Held() noexcept = default;
  Held(ESYS_CONTEXT* context, ESYS_TR handle) noexcept : context_(context), handle_(handle) {}
  Held(Held&& other) noexcept : context_(other.context_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Held() { end(); }

  ESYS_TR get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != ESYS_TR_NONE; }
  // An end that fails leaves nothing to be done here: the context is dead, and what it held is swept at the next
  // opening.
  void end() noexcept {
    if (handle_ != ESYS_TR_NONE) End(context_, std::exchange(handle_, ESYS_TR_NONE));
  }
  // The TPM itself has ended it, as a session after its last use: what ESAPI keeps of it (a kilobyte) is freed, which
  // ESAPI does not do by itself.
  void ended() noexcept {
    if (handle_ != ESYS_TR_NONE) Esys_TR_Close(context_, &handle_);
    handle_ = ESYS_TR_NONE;
  }
  ESYS_TR release() noexcept { return std::exchange(handle_, ESYS_TR_NONE); }

 private:
  ESYS_CONTEXT* context_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
};

inline void flush(ESYS_CONTEXT* context, ESYS_TR handle) noexcept { Esys_FlushContext(context, handle); }
inline void close(ESYS_CONTEXT* context, ESYS_TR handle) noexcept { Esys_TR_Close(context, &handle); }

using Transient = Held<&flush>;
using OpenHandle = Held<&close>;

}  // namespace volcrypt::keys::tpm
