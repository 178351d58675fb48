// Worker: named threads for calls that block (one for the TPM, one for the store, a small pool for devices), awaited
// from the loop. The loop thread itself never blocks. A call that overruns its deadline is given up by the awaiter;
// its thread is replaced, so that one dead device cannot starve the others.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace volcrypt::runtime {

namespace asio = boost::asio;

class Worker {
 public:
  static constexpr std::size_t max_waiting = 4096;  // calls that have not begun
  static constexpr std::size_t max_given_up = 256;  // calls that overran their deadline and still hang

  // `name` shows in thread listings and in errors (at most 15 bytes, prctl(2)); `threads` run at the same time. None:
  // calls run in place, on the awaiter's thread, and nothing ends them early: for simulations of many nodes.
  Worker(std::string name, std::size_t threads);
  // Waits for calls that run; those that wait are dropped with operation_aborted. Calls given up are not waited for.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `call` on a thread of the worker and resumes on the awaiter's executor (the loop or a strand, which must
  // outlive the call or be given up with it) with its result or exception. Throws Error(errc::timed_out) naming
  // `operation` when `deadline`, counted from the moment the call begins, passes first. Such a call may still end
  // later, beside calls that began after it: it must own what it touches (shared_ptr), and objects that cannot stand
  // two threads need a lock. Throws Error(errc::limit_exceeded) when max_waiting calls wait or max_given_up calls hang.
  template <class Call>
  asio::awaitable<std::invoke_result_t<Call>> run(std::string operation, std::chrono::milliseconds deadline,
                                                  Call call) {
    auto job = std::make_shared<CallJob<Call>>(std::move(call));
    co_await perform(state_, job, std::move(operation), deadline);
    co_return job->take();
  }

 private:
  struct State;
  struct Progress;

  // One call and what became of it. `execute` runs once, on a thread; `take` once, on the loop, after it.
  class Job {
   public:
    Job();
    virtual ~Job();
    virtual void execute() noexcept = 0;
    std::unique_ptr<Progress> progress;
  };

  template <class Call>
  class CallJob final : public Job {
   public:
    using Result = std::invoke_result_t<Call>;
    explicit CallJob(Call call) : call_(std::move(call)) {}

    void execute() noexcept override {
      try {
        if constexpr (std::is_void_v<Result>) {
          (*call_)();
        } else {
          result_.emplace((*call_)());
        }
      } catch (...) {  // carried to the awaiter, where take() throws it
        error_ = std::current_exception();
      }
      call_.reset();  // what the call captured ends on this thread
    }

    Result take() {
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      if constexpr (!std::is_void_v<Result>) return std::move(*result_);
    }

   private:
    struct Nothing {};
    std::optional<Call> call_;
    std::optional<std::conditional_t<std::is_void_v<Result>, Nothing, Result>> result_;
    std::exception_ptr error_;
  };

  static asio::awaitable<void> perform(std::shared_ptr<State> state, std::shared_ptr<Job> job, std::string operation,
                                       std::chrono::milliseconds deadline);

  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::runtime
