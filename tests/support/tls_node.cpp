// The server's loop and application, see tls_node.hpp.
#include "tests/support/tls_node.hpp"

#include <fcntl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "agent/keys/p256.hpp"
#include "agent/keys/tls_key.hpp"

namespace volcrypt::test {

namespace {

http::Response plain(unsigned status, std::string message) {
  http::Response response;
  response.status = status;
  response.body = std::move(message);
  return response;
}

}  // namespace

TlsSecret new_tls_secret() {
  auto key = keys::p256_openssl_key(keys::generate_p256().scalar);
  http::TlsIdentity identity(*key);
  return {std::move(key), std::move(identity)};
}

TlsNode::TlsNode(http::TlsLimits limits, std::vector<Endpoint> endpoints) {
  if (endpoints.empty()) endpoints = {{asio::ip::make_address("127.0.0.1"), 0}, {asio::ip::make_address("::1"), 0}};
  http::Application application;
  application.admit = [](const http::Peer&) { return std::nullopt; };
  application.handle = [this](http::Request request, std::string target) {
    return answer(std::move(request), std::move(target));
  };
  application.refuse = plain;
  application.failed = [](const std::exception_ptr&) {};
  server_ = std::make_unique<http::TlsServer>(loop_.get_executor(), endpoints, secret_.identity, limits,
                                              std::move(application), [this](const http::Fingerprint& key) {
                                                const std::lock_guard lock(mutex_);
                                                return members_.contains(key);
                                              });
  endpoints_ = server_->endpoints();
  server_->run();
  thread_ = std::thread([this] { loop_.run(); });
}

TlsNode::~TlsNode() {
  asio::post(loop_, [this] {
    server_->stop();
    loop_.stop();  // a handler may still wait
  });
  thread_.join();
}

asio::awaitable<http::Response> TlsNode::answer(http::Request request, std::string target) {
  bool member = false;
  {
    const std::lock_guard lock(mutex_);
    targets_.insert(target);
    bodies_.push_back(request.body);
    member = members_.contains(request.peer.tls_key.value());
    if (!in_turn_.empty()) {
      http::Response next = std::move(in_turn_.front());
      in_turn_.pop_front();
      co_return next;
    }
  }
  if (target == "/never") {
    asio::steady_timer for_ever(co_await asio::this_coro::executor, std::chrono::hours(1));
    co_await for_ever.async_wait(asio::use_awaitable);
  }
  if (!member) co_return plain(403, "a stranger");
  if (target == "/large") co_return plain(200, std::string(2'000'000, 'x'));
  co_return plain(200, std::string(to_text(request.method)) + " " + target + " " + std::to_string(request.body.size()) +
                           " " + to_hex(*request.peer.tls_key) + " " + request.peer.address);
}

void TlsNode::answer_in_turn(std::vector<http::Response> responses) {
  const std::lock_guard lock(mutex_);
  in_turn_.assign(responses.begin(), responses.end());
}

void TlsNode::stop() {
  asio::post(loop_, asio::use_future([this] { server_->stop(); })).get();
}

void TlsNode::admit(const http::Fingerprint& key) {
  const std::lock_guard lock(mutex_);
  members_.insert(key);
}

void TlsNode::expel(const http::Fingerprint& key) {
  const std::lock_guard lock(mutex_);
  members_.erase(key);
}

std::set<std::string> TlsNode::targets() const {
  const std::lock_guard lock(mutex_);
  return targets_;
}

std::vector<std::string> TlsNode::bodies() const {
  const std::lock_guard lock(mutex_);
  return bodies_;
}

http::TlsServer::Connections TlsNode::connections() {  // counted on the loop's thread, whose they are
  return asio::post(loop_, asio::use_future([this] { return server_->connections(); })).get();
}

http::Response answer_of(const http::TlsIdentity& identity, const http::TlsPeer& peer, http::TlsRequest request) {
  asio::io_context loop(1);
  auto answer = asio::co_spawn(loop, http::ask(identity, peer, std::move(request)), asio::use_future);
  loop.run();
  return answer.get();
}

Endpoint closed_endpoint() {
  asio::io_context loop;
  return asio::ip::tcp::acceptor(loop, {asio::ip::make_address("127.0.0.1"), 0}).local_endpoint();
}

SilentListener::SilentListener() : acceptor_(loop_, {asio::ip::make_address("127.0.0.1"), 0}) {
  ::fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);  // a daemon that a test starts is not to hold it open
}

}  // namespace volcrypt::test
