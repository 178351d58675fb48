// Members in turn, and what their refusals mean; see etcd_gateway.hpp.
#include "agent/cluster/etcd_gateway.hpp"

#include <optional>

#include "agent/cluster/etcd_messages.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

// A connection within a machine room takes milliseconds; a member whose host is off costs this much, once per call.
constexpr milliseconds longest_connect{3000};

// google.rpc.Code, the ones that etcd uses.
enum GrpcCode {
  invalid_argument = 3,
  not_found = 5,
  permission_denied = 7,
  resource_exhausted = 8,
  out_of_range = 11,
  unauthenticated = 16
};

http::HttpsRequest request_of(std::string target, std::string body) {
  http::HttpsRequest request;
  request.target = std::move(target);
  request.body = std::move(body);
  // Without it a member that is cut off from the others keeps a watch open that never tells anything, and lets
  // everything else wait for its own deadline.
  request.headers.emplace_back("Grpc-Metadata-hasleader", "true");
  return request;
}

struct Cause {
  boost::system::error_code code;
  std::string way_out;
  bool final = false;  // another member would say the same
};

Cause cause_of(unsigned status, const etcd::Refusal& refusal) {
  const std::string said = "etcd says " + volcrypt::quoted(refusal.text) + ".";
  switch (refusal.code) {
    case out_of_range:
      return {make_error_code(errc::too_old), said, true};
    case permission_denied:
    case unauthenticated:
      return {make_error_code(errc::peer_refused),
              said +
                  " etcd's users and roles cannot be used: its JSON gateway takes no certificate for a user. Turn "
                  "them off (`etcdctl auth disable`); etcd's client certificates guard it.",
              true};
    case resource_exhausted:
      if (refusal.text.find("space exceeded") != std::string::npos)
        return {make_error_code(errc::limit_exceeded),
                said + " Its quota is used up: compact and defragment it, then run `etcdctl alarm disarm`.", true};
      return {make_error_code(errc::limit_exceeded), said, false};
    case invalid_argument:
    case not_found:
      return {make_error_code(errc::invalid_argument), said, true};
    default:
      if (status == 404) return {make_error_code(errc::peer_refused), "It is no etcd of version 3.4 or newer.", false};
      return {make_error_code(errc::timed_out), said, false};
  }
}

// Whether a refused change certainly did not happen: said by a member before it proposes anything to the others. Not
// "space exceeded": the transaction that uses up the quota is made, and refused with the same words.
bool means_nothing_happened(const etcd::Refusal& refusal) {
  const auto says = [&](const char* words) { return refusal.text.find(words) != std::string::npos; };
  switch (refusal.code) {
    case invalid_argument:
    case not_found:
    case permission_denied:
    case unauthenticated:
      return true;
    case resource_exhausted:
      return !says("space exceeded");
    default:
      return says("no leader");
  }
}

}  // namespace

struct EtcdGateway::State {
  State(const EtcdAddress& address, milliseconds limit)
      : servers(address.servers), trust(address.files), deadline(limit) {}

  const std::vector<http::HttpsServer> servers;
  const http::HttpsTrust trust;
  const milliseconds deadline;
  std::size_t preferred = 0;
};

// The members in turn, from the one that is preferred when it begins; and what each said, for the error when none would
// do.
class EtcdGateway::Attempts {
 public:
  Attempts(std::shared_ptr<State> state, std::string phrase)
      : what(std::move(phrase)),
        until(Clock::now() + state->deadline),
        state_(std::move(state)),
        first_(state_->preferred) {}

  bool left() const { return made_ < state_->servers.size(); }
  void begin_next() { ++made_; }
  std::size_t index() const { return (first_ + made_ - 1) % state_->servers.size(); }
  const http::HttpsServer& server() const { return state_->servers[index()]; }
  // Of the time that is left, for the present member, when those after it shall have theirs.
  milliseconds share() const {
    const auto members = static_cast<long>(state_->servers.size() - made_ + 1);
    return std::chrono::duration_cast<milliseconds>((until - Clock::now()) / members);
  }
  void add(boost::system::error_code cause, const std::string& said) {
    if (!cause_ || cause == errc::peer_refused) cause_ = cause;
    told_ += (told_.empty() ? "" : "; ") + to_text(server()) + ": " + said;
  }
  void add(const Error& error) {
    const bool explained = error.code() == errc::peer_refused && !error.way_out().empty();
    add(error.code(), explained ? error.way_out() : error.code().message());
  }
  [[noreturn]] void give_up() const {
    throw Error(*cause_, {what, "in etcd",
                          "Tried " + told_ +
                              ". Is etcd running there, and do more than half of its members reach each other? Volumes "
                              "attach without it."});
  }

  const std::string what;
  const Clock::time_point until;

 private:
  std::shared_ptr<State> state_;
  std::string told_;
  std::size_t first_, made_ = 0;
  std::optional<boost::system::error_code> cause_;
};

EtcdGateway::EtcdGateway(const EtcdAddress& address, milliseconds deadline)
    : state_(std::make_shared<State>(address, deadline)) {}

void EtcdGateway::prefer_another() { state_->preferred = (state_->preferred + 1) % state_->servers.size(); }

asio::awaitable<http::HttpsConnection> EtcdGateway::reach(Attempts& attempts) {
  const auto state = state_;
  while (attempts.left()) {
    attempts.begin_next();
    const auto limit = std::min(longest_connect, attempts.share());
    try {
      co_return co_await http::HttpsConnection::open(state->trust, attempts.server(), limit);
    } catch (const Error& error) {
      attempts.add(error);
    }
  }
  attempts.give_up();
}

asio::awaitable<std::string> EtcdGateway::ask(std::string what, std::string target, std::string body) {
  const auto state = state_;
  Attempts attempts(state, std::move(what));
  for (;;) {
    auto connection = co_await reach(attempts);
    auto request = request_of(target, body);
    http::Response answer;
    try {
      answer = co_await connection.ask(std::move(request), attempts.share());
    } catch (const Error& error) {
      if (error.code() == errc::limit_exceeded) throw;  // it is so everywhere; the caller asks for less
      attempts.add(error);
      continue;
    }
    if (answer.status == 200) {
      state->preferred = attempts.index();
      co_return std::move(answer.body);
    }
    const Cause cause = cause_of(answer.status, etcd::parse_refusal(answer.body));
    if (cause.final) throw Error(cause.code, {attempts.what, "in etcd", cause.way_out});
    attempts.add(cause.code, cause.way_out);
  }
}

asio::awaitable<std::string> EtcdGateway::change(std::string what, std::string target, std::string body) {
  const auto state = state_;
  Attempts attempts(state, std::move(what));
  std::string said;
  for (;;) {
    auto connection = co_await reach(attempts);
    auto request = request_of(target, body);
    http::Response answer;
    try {
      const auto limit = std::chrono::duration_cast<milliseconds>(attempts.until - Clock::now());
      answer = co_await connection.ask(std::move(request), limit);
    } catch (const Error& error) {
      const bool not_heard = error.code() == errc::peer_refused;  // our certificate: the request was not looked at
      attempts.add(error);
      if (not_heard) continue;
      said = error.code().message() + ".";
      break;
    }
    if (answer.status == 200) {
      state->preferred = attempts.index();
      co_return std::move(answer.body);
    }
    const etcd::Refusal refusal = etcd::parse_refusal(answer.body);
    const Cause cause = cause_of(answer.status, refusal);
    said = cause.way_out;
    if (!means_nothing_happened(refusal)) break;
    if (cause.final) throw Error(cause.code, {attempts.what, "in etcd", cause.way_out});
    attempts.add(cause.code, cause.way_out);
  }
  prefer_another();
  throw Error(errc::unknown_outcome,
              {attempts.what, "in etcd", to_text(attempts.server()) + ": " + said + " Look before you repeat."});
}

asio::awaitable<http::HttpsConnection> EtcdGateway::listen(std::string what, std::string target, std::string body) {
  Attempts attempts(state_, std::move(what));
  auto request = request_of(std::move(target), std::move(body));
  auto connection = co_await reach(attempts);
  const auto limit = std::chrono::duration_cast<milliseconds>(attempts.until - Clock::now());
  const http::Response head = co_await connection.ask_for_lines(std::move(request), limit);
  if (head.status == 200) co_return connection;
  const Cause cause = cause_of(head.status, etcd::parse_refusal(head.body));
  throw Error(cause.code, {attempts.what, "in etcd", cause.way_out});
}

}  // namespace volcrypt::cluster
