// Worker: named threads for calls that block (one for the TPM, one for the store, a small pool for devices), awaited
// from the loop. The loop thread itself never blocks. A call that overruns its deadline is given up by the awaiter;
// its thread is replaced, so that one dead device cannot starve the others.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

namespace volcrypt::runtime {

namespace asio = boost::asio;

class Worker {
 public:
  // `name` shows in thread listings and in errors (at most 15 bytes, prctl(2)); `threads` run at the same time.
  Worker(std::string name, std::size_t threads);
  ~Worker();  // waits for calls that run; those that wait are dropped with operation_aborted

  // Runs `call` on a thread of the worker and resumes on the awaiter's executor with its result or exception.
  // Throws Error(errc::timed_out) naming `operation` when `deadline` passes first; the call may still finish later, and
  // its result is then destroyed on the worker. Throws errc::limit_exceeded when 4096 calls wait already.
  template <class Call>
  asio::awaitable<std::invoke_result_t<Call>> run(std::string operation, std::chrono::milliseconds deadline, Call call);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::runtime
