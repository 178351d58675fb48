// The listener on a unix socket.
#include "agent/http/server.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <unordered_set>

#include "agent/http/conversation.hpp"
#include "agent/http/peer_of.hpp"
#include "agent/http/socket_file.hpp"
#include "agent/runtime/spawn.hpp"

namespace volcrypt::http {

using Local = asio::local::stream_protocol;
using LocalStream = beast::basic_stream<Local>;

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor where, const SocketFile& socket_file, Limits bounds, Application served)
      : executor(std::move(where)),
        acceptor(executor),
        application(std::move(served)),
        clients{.limits = bounds, .application = application},
        file(listen_on(socket_file)) {
    acceptor.assign(Local(), file.release_listener());
  }

  asio::any_io_executor executor;
  Local::acceptor acceptor;
  Application application;
  Audience clients;
  ListeningFile file;
  std::unordered_set<LocalStream*> open;  // each is in the frame of its own connection()

  asio::awaitable<void> accept_all();
};

namespace {

template <class State>
asio::awaitable<void> connection(std::shared_ptr<State> state, Local::socket socket) {
  LocalStream stream(std::move(socket));
  struct Registered {
    State& state;
    LocalStream* stream;
    ~Registered() { state.open.erase(stream); }
  } registered{*state, &stream};
  state->open.insert(&stream);
  co_await converse(stream, peer_of(stream.socket().native_handle()), state->clients);
}

}  // namespace

asio::awaitable<void> Server::State::accept_all() {
  const auto self = shared_from_this();
  while (!clients.stopping) {
    auto [failed, socket] = co_await acceptor.async_accept(waiting);
    if (clients.stopping || failed == asio::error::operation_aborted) co_return;
    if (failed) {  // out of descriptors, or a client that left between: the next one may do better
      asio::steady_timer pause(executor, std::chrono::milliseconds(100));
      co_await pause.async_wait(waiting);
      continue;
    }
    if (open.size() >= clients.limits.connections) {
      turn_away(std::move(socket), application);
      continue;
    }
    runtime::spawn(executor, "control connection", connection(self, std::move(socket)));
  }
}

Server::Server(asio::any_io_executor executor, const SocketFile& file, Limits limits, Application application)
    : state_(std::make_shared<State>(std::move(executor), file, limits, std::move(application))) {}

Server::~Server() { stop(); }

asio::awaitable<void> Server::run() { return state_->accept_all(); }

void Server::stop() {
  if (std::exchange(state_->clients.stopping, true)) return;
  boost::system::error_code ignored;  // closing: nothing is left to be done about it
  state_->acceptor.close(ignored);
  for (auto* stream : state_->open) stream->close();
  state_->file.unlink();
}

std::size_t Server::connections() const noexcept { return state_->open.size(); }

}  // namespace volcrypt::http
