// Makes the n-th system call that changes a file fail, or ends the process there as a power cut would. Counts open for
// writing, write, fsync, rename and unlink of volcrypt's own code (the linker's --wrap), each
// exactly once, in order. Tests only; one thread.
#pragma once

#include <functional>

namespace volcrypt::tests {

// How many such calls `action` makes.
int count_calls(const std::function<void()>& action);

// Runs `action` with call number `n` (from 1) failing with `error`; a write is cut in half first. What the action
// throws comes out. False when it made fewer calls than n.
bool with_failing_call(int n, int error, const std::function<void()>& action);

// Runs `action` in a child process that ends before call number `n` takes effect (a write is cut in half first). True
// when the child ended there, false when it made fewer calls. Throws when the child ended in any other way.
bool with_crash_at_call(int n, const std::function<void()>& action);

}  // namespace volcrypt::tests
