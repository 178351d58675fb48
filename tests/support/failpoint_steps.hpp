// The steps of a program, counted from its start over all threads in the order they are made, and what the plan does at
// one of them. The wrapped calls (failpoint_preload.cpp) make each of their steps through here.
#pragma once

#include <mutex>
#include <string>

#include "tests/support/failpoint_journal.hpp"
#include "tests/support/failpoint_plan.hpp"

namespace volcrypt::failpoint {

extern std::recursive_mutex mutex;  // held for a whole step

[[noreturn]] void crash();
// Counts the step. False: it must fail, and errno says how. Ends the program when that is the plan.
bool may_go_on(const char* what, const std::string& path, bool& is_the_step);
bool cuts_and_crashes();                  // the plan ends the program inside a write
std::size_t part_of(std::size_t length);  // how much of a write is done at the step

// For steps that are not writes: torn and sliver are a crash before, short means nothing.
template <class Result, class Call>
Result step(const char* what, const std::string& path, Call call) {
  std::lock_guard lock(mutex);
  bool is_the_step = false;
  if (!may_go_on(what, path, is_the_step)) return static_cast<Result>(-1);
  if (is_the_step && cuts_and_crashes()) crash();
  Result result = call();
  if (is_the_step && plan().how == How::after) crash();
  return result;
}

// `put(length)` writes the first `length` bytes at `offset`.
template <class Put>
ssize_t write_step(const char* what, int fd, const std::string& path, off_t offset, std::size_t length, Put put) {
  std::lock_guard lock(mutex);
  bool is_the_step = false;
  if (!may_go_on(what, path, is_the_step)) return -1;
  remember_content(fd, offset, length);
  ssize_t result = put(is_the_step ? part_of(length) : length);
  if (is_the_step && (cuts_and_crashes() || plan().how == How::after)) crash();
  return result;
}

// A step that changes a name; `change()` says how, and is asked just before.
template <class Change, class Call>
int name_step(const char* what, const std::string& path, Change change, Call call) {
  if (!is_below(path)) return call();
  return step<int>(what, path, [&] {
    NameChange made = change();
    const int result = call();
    if (result >= 0) made.remember();
    return result;
  });
}

}  // namespace volcrypt::failpoint
