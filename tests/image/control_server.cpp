// The HTTP server on a real unix socket against clients that do it wrong: slow, huge, malformed, many, gone. The others
// are served meanwhile, and memory stays bounded. The server runs on a thread of its own, as the agent's loop does.
#define BOOST_TEST_DYN_LINK
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <thread>

#include "agent/http/client.hpp"
#include "agent/http/server.hpp"
#include "agent/http/socket_file.hpp"
#include "agent/runtime/spawn.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::http;
using namespace std::chrono_literals;

namespace {

asio::awaitable<Response> echo(Request request, std::string target) {
  if (target == "/throw") throw std::runtime_error("a defect of the handler");
  Response response;
  response.body = std::string(to_text(request.method)) + " " + target + " " + std::to_string(request.body.size());
  co_return response;
}

Response plain(unsigned status, std::string message) {
  Response response;
  response.status = status;
  response.body = std::move(message);
  return response;
}

Limits small_limits() {
  Limits limits;
  limits.connections = 8;
  limits.all_bodies = 6 * 1024 * 1024;
  limits.idle = 700ms;
  limits.body = 700ms;
  limits.write = 700ms;
  return limits;
}

struct Running {
  tests::TemporaryDirectory directory;
  std::filesystem::path path = directory.path() / "control.sock";
  asio::io_context loop{1};
  std::atomic<int> failures{0};
  std::atomic<bool> admitting{true};
  std::unique_ptr<Server> server;
  std::thread thread;

  explicit Running(Limits limits = small_limits()) {
    Application application;
    application.admit = [this](const Peer& peer) -> std::optional<Response> {
      if (admitting && peer.uid == ::getuid() && peer.pid == ::getpid() && !peer.groups.empty()) return std::nullopt;
      return plain(403, "stranger");
    };
    application.handle = echo;
    application.refuse = plain;
    application.failed = [this](const std::exception_ptr&) { ++failures; };
    server = std::make_unique<Server>(loop.get_executor(), SocketFile{path, 0600, {}}, limits, std::move(application));
    runtime::spawn(loop.get_executor(), "server", server->run());
    thread = std::thread([this] { loop.run(); });
  }

  ~Running() {
    asio::post(loop, [this] { server->stop(); });
    thread.join();
  }

  Response get(const std::string& target) { return Client(path, 2s).request(Method::get, target, "", 5s); }
  std::size_t connections() {  // counted on the loop's thread, whose they are
    return asio::post(loop, asio::use_future([this] { return server->connections(); })).get();
  }
  bool works() { return get("/ping").body == "GET /ping 0"; }
};

// A client below HTTP.
class Raw {
 public:
  explicit Raw(const std::filesystem::path& path) : socket_(connect_to(path, 2s)) {}

  // False when the server closed meanwhile.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Everything until the server closes.
  std::string rest() {
    std::string all;
    char buffer[4096];
    for (;;) {
      const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (count <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(count));
    }
  }

  void close() { socket_ = Fd(); }

 private:
  Fd socket_;
};

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

// Kilobytes that this process has in memory now.
std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (starts_with(line, "VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

template <class Condition>
bool eventually(Condition holds) {
  for (int i = 0; i < 200; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(25ms);
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server)

BOOST_AUTO_TEST_CASE(requests_on_one_connection_are_answered_in_order) {
  Running running;
  Client client(running.path, 2s);
  for (int i = 0; i < 50; ++i) {
    const std::string target = "/n" + std::to_string(i);
    BOOST_TEST(client.request(Method::post, target, std::string(static_cast<std::size_t>(i), 'x'), 5s).body ==
               "POST " + target + " " + std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE(a_body_at_the_limit_passes_and_one_above_is_413) {
  Running running;
  const std::size_t limit = Limits().body_bytes;
  BOOST_TEST(Client(running.path, 2s).request(Method::put, "/b", std::string(limit, 'x'), 10s).body ==
             "PUT /b " + std::to_string(limit));
  BOOST_TEST(Client(running.path, 2s).request(Method::put, "/b", std::string(limit + 1, 'x'), 10s).status == 413u);
  BOOST_TEST(running.works());
}

BOOST_AUTO_TEST_CASE(a_header_that_never_ends_is_431_and_takes_no_memory) {
  Running running;
  Raw raw(running.path);
  [[maybe_unused]] const auto before = resident_kib();
  raw.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 4096; ++i) {
    if (!raw.send("X-Filler: " + std::string(1000, 'x') + "\r\n")) break;  // 4 MiB, unless it is refused before
  }
  BOOST_TEST(starts_with(raw.rest(), "HTTP/1.1 431 "));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their own memory grows meanwhile
  BOOST_TEST(resident_kib() < before + 2048);
#endif
  BOOST_TEST(running.works());
}

BOOST_AUTO_TEST_CASE(what_is_not_http_is_400) {
  Running running;
  for (const std::string text :
       {"\x16\x03\x01\x02\x01 hello tls\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbroken header\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"}) {
    Raw raw(running.path);
    raw.send(text);
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(starts_with(raw.rest(), "HTTP/1.1 400 ")); }
  }
  BOOST_TEST(running.works());
}

BOOST_AUTO_TEST_CASE(a_method_or_encoding_that_is_not_known_is_refused) {
  Running running;
  Raw patch(running.path);
  patch.send("PATCH / HTTP/1.1\r\n\r\n");
  BOOST_TEST(starts_with(patch.rest(), "HTTP/1.1 501 "));
  Raw chunked(running.path);
  chunked.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  BOOST_TEST(starts_with(chunked.rest(), "HTTP/1.1 411 "));
}

BOOST_AUTO_TEST_CASE(a_client_that_expects_100_continue_gets_it) {
  Running running;
  Raw raw(running.path);
  raw.send("POST /c HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  std::this_thread::sleep_for(100ms);
  raw.send("ok");
  const std::string all = raw.rest();
  BOOST_TEST(starts_with(all, "HTTP/1.1 100 "));
  BOOST_TEST(all.find("POST /c 2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(slow_clients_are_cut_off_and_others_are_served_meanwhile) {
  Running running;
  Raw trickling(running.path), silent(running.path), bodyless(running.path);
  bodyless.send("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nx");
  const auto begin = std::chrono::steady_clock::now();
  // A byte every 50 ms: each read has progress, the whole header has none. Only a deadline over all of it ends this.
  bool open = true;
  for (int i = 0; i < 60 && open; ++i) {
    open = trickling.send("G");
    BOOST_TEST(running.works());
    std::this_thread::sleep_for(50ms);
  }
  BOOST_TEST(!open);
  BOOST_TEST(silent.rest() == "");
  bodyless.rest();
  BOOST_CHECK(std::chrono::steady_clock::now() - begin < 5s);
  BOOST_TEST(eventually([&] { return running.works() && running.connections() <= 1; }));
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_its_answer_is_cut_off) {
  Running running;
  Raw raw(running.path);
  // Answers of 16 KiB, thousands of them, until the socket's buffers are full.
  const std::string request = "GET /" + std::string(15000, 'a') + " HTTP/1.1\r\n\r\n";
  bool open = true;
  for (int i = 0; i < 10000 && open; ++i) open = raw.send(request);
  BOOST_TEST(!open);
  BOOST_TEST(running.works());
}

BOOST_AUTO_TEST_CASE(connections_over_the_limit_are_told_so_at_once) {
  Running running;
  std::vector<std::unique_ptr<Raw>> held;
  for (std::size_t i = 0; i < small_limits().connections; ++i) held.push_back(std::make_unique<Raw>(running.path));
  Raw one_more(running.path);
  const std::string answer = one_more.rest();
  BOOST_TEST(starts_with(answer, "HTTP/1.1 503 "));
  BOOST_TEST(answer.find("Retry-After: 1") != std::string::npos);
  held.clear();
  BOOST_TEST(eventually([&] { return running.get("/ping").status == 200u; }));
}

BOOST_AUTO_TEST_CASE(announced_bodies_together_have_a_limit) {
  Running running;
  Raw first(running.path);
  first.send("POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n");
  BOOST_TEST(running.works());  // and the server has read the first one's header by now
  Raw second(running.path);
  second.send("POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n");
  BOOST_TEST(starts_with(second.rest(), "HTTP/1.1 503 "));
  first.close();
  BOOST_TEST(eventually([&] {
    return Client(running.path, 2s).request(Method::post, "/x", std::string(4000000, 'x'), 5s).status == 200u;
  }));
}

BOOST_AUTO_TEST_CASE(clients_that_vanish_in_the_middle_leave_nothing_behind) {
  Running running;
  for (int i = 0; i < 200; ++i) {
    Raw raw(running.path);
    raw.send(i % 2 ? "GET / HTT" : "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
  }
  BOOST_TEST(eventually([&] { return running.works() && running.connections() <= 1; }));
}

BOOST_AUTO_TEST_CASE(a_stranger_is_refused_before_its_body_is_read) {
  Running running;
  running.admitting = false;
  Raw raw(running.path);
  raw.send("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  BOOST_TEST(starts_with(raw.rest(), "HTTP/1.1 403 "));
}

BOOST_AUTO_TEST_CASE(a_defect_of_a_handler_is_500_and_reported_without_its_text) {
  Running running;
  const auto response = running.get("/throw");
  BOOST_TEST(response.status == 500u);
  BOOST_TEST(response.body.find("defect") == std::string::npos);
  BOOST_TEST(running.failures == 1);
  BOOST_TEST(running.works());
}

BOOST_AUTO_TEST_CASE(many_clients_at_once_are_all_served) {
  Limits limits = small_limits();
  limits.connections = 64;
  Running running(limits);
  std::atomic<int> served{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 8; ++t) {
    clients.emplace_back([&] {
      for (int i = 0; i < 50; ++i) served += running.works();
    });
  }
  for (auto& client : clients) client.join();
  BOOST_TEST(served == 400);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(socket_file)

BOOST_AUTO_TEST_CASE(the_socket_has_its_mode_and_no_temporary_name_stays) {
  Running running;
  struct stat found {};
  BOOST_REQUIRE(::lstat(running.path.c_str(), &found) == 0);
  BOOST_TEST((found.st_mode & 07777u) == 0600u);
  BOOST_TEST(!std::filesystem::exists(running.path.native() + ".new"));
}

BOOST_AUTO_TEST_CASE(a_dead_socket_is_replaced_and_a_live_one_is_not) {
  tests::TemporaryDirectory directory;
  const SocketFile file{directory.path() / "s", 0600, {}};
  { auto left_behind = listen_on(file); }  // closed, its file stays: what a killed agent leaves
  Fd(listen_on(file).release_listener());
  auto live = listen_on(file);
  BOOST_CHECK_EXCEPTION(listen_on(file), Error, [](const Error& e) { return e.code() == errc::already_exists; });
  live.unlink();
  BOOST_TEST(!std::filesystem::exists(file.path));
}

BOOST_AUTO_TEST_CASE(something_that_is_no_socket_is_left_alone) {
  tests::TemporaryDirectory directory;
  const auto path = directory.path() / "s";
  std::ofstream(path) << "precious";
  BOOST_CHECK_EXCEPTION(listen_on({path, 0600, {}}), Error,
                        [](const Error& e) { return e.code() == errc::name_taken; });
  BOOST_TEST(std::filesystem::file_size(path) == 8u);
}

BOOST_AUTO_TEST_CASE(a_successor_s_socket_is_not_unlinked) {
  tests::TemporaryDirectory directory;
  const SocketFile file{directory.path() / "s", 0600, {}};
  auto old = listen_on(file);
  std::filesystem::remove(file.path);
  auto successor = listen_on(file);
  old.unlink();
  BOOST_TEST(std::filesystem::exists(file.path));
}

BOOST_AUTO_TEST_CASE(a_path_that_is_too_long_is_refused_with_the_limit) {
  BOOST_CHECK_EXCEPTION(listen_on({"/" + std::string(120, 'x'), 0600, {}}), Error, [](const Error& e) {
    return e.code() == errc::invalid_argument && std::string(e.what()).find("107") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(a_client_without_a_server_is_told_the_cause) {
  tests::TemporaryDirectory directory;
  BOOST_CHECK_EXCEPTION(Client(directory.path() / "none", 1s), Error,
                        [](const Error& e) { return e.code() == boost::system::errc::no_such_file_or_directory; });
}

BOOST_AUTO_TEST_SUITE_END()
