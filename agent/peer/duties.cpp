// See duties.hpp.
#include "agent/peer/duties.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/runtime/spawn.hpp"

namespace volcrypt::peer {
namespace {

constexpr std::chrono::milliseconds look{50};

std::string named(Generation generation) { return "KEK generation " + std::to_string(generation); }

}  // namespace

asio::awaitable<void> Duties::run(std::shared_ptr<Job> job) {
  try {
    job->progress = co_await self_.rewrap_volumes(job->to);
  } catch (const Error& error) {  // told to whoever asked for it
    job->failure = error;
  }
  job->ended = true;
}

asio::awaitable<RewrapAnswer> Duties::rewrap(Generation to) {
  const cluster::EncryptionState state = co_await states_();
  if (state.rotation != cluster::RotationPhase::EncryptingDEKs || state.current != to)
    throw Error(errc::wrong_state, {"rewrap to", named(to), "The cluster does not rewrap to it now."});
  const auto executor = co_await asio::this_coro::executor;
  if (!job_ || job_->ended || job_->to != to) {
    job_ = std::make_shared<Job>();
    job_->to = to;
    runtime::spawn(executor, "rewrap for another node", run(job_));
  }
  const std::shared_ptr<Job> job = job_;
  asio::steady_timer timer(executor);
  for (const auto until = std::chrono::steady_clock::now() + patience_;
       !job->ended && std::chrono::steady_clock::now() < until;) {
    timer.expires_after(look);
    co_await timer.async_wait(asio::use_awaitable);
  }
  if (job->failure) throw Error(*job->failure);
  RewrapAnswer answer{job->ended, job->progress};
  if (!job->ended) answer.progress = co_await self_.rewrap_progress();
  co_return answer;
}

asio::awaitable<RewrapAnswer> Duties::progress() {
  RewrapAnswer answer;
  answer.finished = !job_ || job_->ended;
  answer.progress = co_await self_.rewrap_progress();
  co_return answer;
}

asio::awaitable<void> Duties::retire(Generation generation) {
  const cluster::EncryptionState state = co_await states_();
  if (!state.retiring.contains(generation))
    throw Error(errc::wrong_state, {"destroy", named(generation), "The cluster has not let it go."});
  co_await self_.retire_kek(generation);
}

}  // namespace volcrypt::peer
