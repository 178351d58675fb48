// One question to every member at the same time: a member that is down costs its deadline once, whoever else is asked.
// Coroutines on the loop.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/members.hpp"
#include "agent/runtime/spawn.hpp"

namespace volcrypt::cluster {

template <class T>
struct Answer {
  MemberPtr member;
  std::optional<T> value;
  std::string failure;  // why there is no value
};

// In the order of `members`. `question` may throw: that is one member's failure.
template <class T>
class Poll {
 public:
  using Question = std::function<asio::awaitable<T>(Member&)>;

  static asio::awaitable<std::vector<Answer<T>>> take(std::vector<MemberPtr> members, Question question) {
    const auto executor = co_await asio::this_coro::executor;
    const auto poll = std::make_shared<Poll>(executor, std::move(members), std::move(question));
    for (std::size_t i = 0; i < poll->answers_.size(); ++i) runtime::spawn(executor, "ask a member", ask(poll, i));
    while (poll->open_ > 0) co_await poll->all_answered_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return std::move(poll->answers_);
  }

  Poll(const asio::any_io_executor& executor, std::vector<MemberPtr> members, Question question)
      : question_(std::move(question)), open_(members.size()), all_answered_(executor) {
    all_answered_.expires_at(asio::steady_timer::time_point::max());
    for (auto& member : members) answers_.push_back({std::move(member), std::nullopt, ""});
  }

 private:
  static asio::awaitable<void> ask(std::shared_ptr<Poll> poll, std::size_t index) {
    auto& answer = poll->answers_[index];
    try {
      answer.value = co_await poll->question_(*answer.member);
    } catch (const std::exception& error) {
      answer.failure = error.what();
    }
    if (--poll->open_ == 0) poll->all_answered_.cancel();
  }

  Question question_;
  std::vector<Answer<T>> answers_;
  std::size_t open_;
  asio::steady_timer all_answered_;
};

}  // namespace volcrypt::cluster
