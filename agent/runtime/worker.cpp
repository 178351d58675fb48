// The threads behind Worker. One mutex guards the queue and the progress of every job. Lock order: that mutex alone.
// A finished job wakes its awaiter by moving the awaiter's timer into a handler on the awaiter's executor, so that no
// worker thread ever destroys an object that belongs to the loop.
#include "agent/runtime/worker.hpp"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "dmtarget/error.hpp"

namespace volcrypt::runtime {

using Clock = std::chrono::steady_clock;
using Alarm = std::shared_ptr<asio::steady_timer>;

enum class Step { waiting, running, done, dropped, given_up };

struct Worker::Progress {
  Step step = Step::waiting;
  Clock::time_point begun;
  std::uint64_t thread = 0;  // which thread runs it
  Alarm alarm;               // the awaiter's; moved away by whoever ends the job
};

Worker::Job::Job() : progress(std::make_unique<Progress>()) {}
Worker::Job::~Job() = default;

namespace {

// To be called with the worker's mutex held: after the awaiter gave up, alarm is empty and nothing is posted.
void wake(Alarm& alarm) {
  if (!alarm) return;
  auto executor = alarm->get_executor();
  // An expiry in the past ends a wait that is under way as well as one that has yet to begin.
  asio::post(executor, [alarm = std::move(alarm)] { alarm->expires_at(Clock::time_point::min()); });
}

}  // namespace

struct Worker::State : std::enable_shared_from_this<State> {
  const std::string name;
  const bool in_place;  // no threads
  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::shared_ptr<Job>> queue;
  std::map<std::uint64_t, std::thread> threads;  // those that take new work
  std::uint64_t next_thread = 1;
  std::size_t given_up = 0;
  bool ending = false;

  State(std::string worker_name, bool without_threads) : name(std::move(worker_name)), in_place(without_threads) {}

  void add_thread() {  // mutex held
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the loop thread
    const auto number = next_thread++;
    try {
      threads.emplace(number, std::thread([self = shared_from_this(), number] { self->serve(number); }));
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void serve(std::uint64_t number) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [this] { return ending || !queue.empty(); });
      if (queue.empty()) return;
      auto job = std::move(queue.front());
      queue.pop_front();
      job->progress->step = Step::running;
      job->progress->begun = Clock::now();
      job->progress->thread = number;
      lock.unlock();
      job->execute();
      lock.lock();
      if (job->progress->step == Step::given_up) {  // this thread was replaced
        --given_up;
        lock.unlock();
        job.reset();  // the result ends here
        return;
      }
      job->progress->step = Step::done;
      wake(job->progress->alarm);
    }
  }

  void submit(std::shared_ptr<Job> job, Alarm alarm, const std::string& operation) {
    const std::lock_guard lock(mutex);
    if (ending) throw boost::system::system_error(asio::error::operation_aborted, operation);
    if (queue.size() >= max_waiting || given_up >= max_given_up) {
      throw Error(errc::limit_exceeded, {operation, "on worker " + name,
                                         std::to_string(queue.size()) + " calls wait and " + std::to_string(given_up) +
                                             " hang; look for a device that does not answer."});
    }
    job->progress->alarm = std::move(alarm);
    queue.push_back(std::move(job));
    work.notify_one();
  }

  // Empty: the job ended. Otherwise the moment at which it has to be looked at again.
  std::optional<Clock::time_point> next_look(Job& job, std::chrono::milliseconds deadline) {
    const std::lock_guard lock(mutex);
    if (job.progress->step == Step::running) return job.progress->begun + deadline;
    if (job.progress->step == Step::waiting) return Clock::now() + deadline;
    return std::nullopt;
  }

  void leave(const std::shared_ptr<Job>& job) noexcept {
    const std::lock_guard lock(mutex);
    auto& progress = *job->progress;
    progress.alarm.reset();
    if (progress.step == Step::waiting) {
      std::erase(queue, job);
      progress.step = Step::dropped;
    } else if (progress.step == Step::running) {
      progress.step = Step::given_up;
      ++given_up;
      auto stuck = threads.find(progress.thread);
      if (stuck == threads.end()) return;  // the worker is ending: its destructor joins that thread
      stuck->second.detach();
      threads.erase(stuck);
      try {
        add_thread();
      } catch (const std::system_error&) {
        // No thread to be had now (EAGAIN): the others go on; submit() refuses once too many calls hang.
      }
    }
  }
};

Worker::Worker(std::string name, std::size_t threads) : state_(std::make_shared<State>(std::move(name), threads == 0)) {
  const std::lock_guard lock(state_->mutex);
  for (std::size_t i = 0; i < threads; ++i) state_->add_thread();
}

Worker::~Worker() {
  std::map<std::uint64_t, std::thread> running;
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    for (auto& job : state_->queue) {
      job->progress->step = Step::dropped;
      wake(job->progress->alarm);
    }
    state_->queue.clear();
    running.swap(state_->threads);
    state_->work.notify_all();
  }
  for (auto& [number, thread] : running) thread.join();
}

asio::awaitable<void> Worker::perform(std::shared_ptr<State> state, std::shared_ptr<Job> job, std::string operation,
                                      std::chrono::milliseconds deadline) {
  if (state->in_place) {
    job->execute();
    co_return;
  }
  auto alarm = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, deadline);
  // Also runs when the coroutine is destroyed while it waits: then nobody posts to its executor any more.
  struct Leave {
    std::shared_ptr<State> state;
    std::shared_ptr<Job> job;
    ~Leave() { state->leave(job); }
  } leave_at_end{state, job};
  state->submit(job, alarm, operation);

  const auto cancelled = co_await asio::this_coro::cancellation_state;
  while (const auto look = state->next_look(*job, deadline)) {
    if (cancelled.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted, operation);
    }
    if (*look <= Clock::now()) {
      throw Error(errc::timed_out,
                  {operation, "within " + std::to_string(deadline.count()) + " ms on worker " + state->name,
                   "The call was given up; a device or service that does not answer holds it."});
    }
    alarm->expires_at(*look);
    co_await alarm->async_wait(asio::as_tuple(asio::use_awaitable));
  }
  const std::lock_guard lock(state->mutex);
  if (job->progress->step == Step::dropped) {
    throw boost::system::system_error(asio::error::operation_aborted, operation);
  }
}

}  // namespace volcrypt::runtime
