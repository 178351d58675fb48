// See etcd_cluster.hpp.
#include "tests/support/etcd_cluster.hpp"

#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"

namespace volcrypt::test {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace asio = boost::asio;

namespace {

// Memory, where there is such a place: how fast this machine's disk syncs is not what is tested.
fs::path fast_directory() { return fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path(); }

std::string etcd_program() {
  tests::Ran ran = tests::run({VOLCRYPT_ETCD});
  if (ran.status != 0) throw std::runtime_error("scripts/etcd: " + ran.err);
  ran.out.erase(ran.out.find_last_not_of('\n') + 1);
  return ran.out;
}

std::string url(const std::string& host, unsigned short port) { return "https://" + host + ":" + std::to_string(port); }

http::HttpsFiles files_of(const CertificateAuthority& authority, const CertificateFiles& shown) {
  return {authority.file(), shown.certificate, shown.key};
}

asio::awaitable<std::string> answer_of(http::HttpsTrust trust, http::HttpsServer server, std::string target,
                                       std::string body) {
  auto connection = co_await http::HttpsConnection::open(trust, server, 5s);
  http::HttpsRequest request;
  request.target = std::move(target);
  request.body = std::move(body);
  const http::Response answer = co_await connection.ask(std::move(request), 10s);
  if (answer.status != 200) throw std::runtime_error("etcd: " + answer.body);
  co_return answer.body;
}

}  // namespace

unsigned short free_port(const std::string& host) {
  constexpr unsigned first = 12000, count = 20000;  // below those that the kernel gives to whoever asks for any
  static unsigned next = static_cast<unsigned>(::getpid()) * 37;
  const std::string number = host.front() == '[' ? host.substr(1, host.size() - 2) : host;
  for (unsigned tries = 0; tries < count; ++tries) {
    const auto port = static_cast<unsigned short>(first + next++ % count);
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor(loop);
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(number), port);
    boost::system::error_code taken;
    acceptor.open(endpoint.protocol());
    acceptor.bind(endpoint, taken);
    if (!taken) return port;
  }
  throw std::runtime_error("no port is free on " + host);
}

EtcdCluster::EtcdCluster()
    : directory_(fast_directory()),
      authority_(directory_.path(), "authority"),
      named_(authority_.sign("named", {"IP:127.0.0.1", "IP:::1", "DNS:localhost"})),
      unnamed_(authority_.sign("unnamed", {"IP:127.0.0.1", "IP:::1"})),
      client_(authority_.sign("client", {})) {
  const char* const hosts[size] = {"127.0.0.1", "127.0.0.1", "[::1]"};
  for (std::size_t i = 0; i < size; ++i) {
    members_[i].host = hosts[i];
    members_[i].client_port = free_port(hosts[i]);
    members_[i].peer_port = free_port(hosts[i]);
  }
  for (std::size_t i = 0; i < size; ++i) start(i);
  wait_until_writable();
}

EtcdCluster::~EtcdCluster() = default;

http::HttpsServer EtcdCluster::server(std::size_t member) const {
  return cluster::parse_etcd_servers("etcd:" + url(members_[member].host, members_[member].client_port)).front();
}

cluster::EtcdAddress EtcdCluster::address() {
  cluster::EtcdAddress address;
  for (std::size_t i = 0; i < size; ++i) address.servers.push_back(server(i));
  address.files = files_of(authority_, client_);
  address.prefix = "/test-" + std::to_string(++prefixes_) + "/";
  return address;
}

void EtcdCluster::start(std::size_t member) {
  static const std::string program = etcd_program();
  Member& self = members_[member];
  const CertificateFiles& shown = member == 0 ? named_ : unnamed_;
  std::string all;
  for (std::size_t i = 0; i < size; ++i)
    all += (i == 0 ? "m" : ",m") + std::to_string(i) + "=" + url(members_[i].host, members_[i].peer_port);
  const std::string name = "m" + std::to_string(member), clients = url(self.host, self.client_port),
                    peers = url(self.host, self.peer_port), authority = authority_.file(),
                    certificate = shown.certificate, key = shown.key,
                    listened = member == 0 ? clients + "," + url("127.0.0.3", self.client_port) : clients;
  const std::vector<std::string> words = {
      "/usr/bin/setpriv", "--pdeathsig", "KILL", program, "--name", name, "--data-dir", directory_.path() / name,
      "--listen-client-urls", listened, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
      "--initial-advertise-peer-urls", peers, "--initial-cluster", all, "--client-cert-auth", "--trusted-ca-file",
      authority, "--cert-file", certificate, "--key-file", key, "--peer-client-cert-auth", "--peer-trusted-ca-file",
      authority, "--peer-cert-file", certificate, "--peer-key-file", key,
      // Elections are for members that died, not for a busy machine.
      "--heartbeat-interval", "200", "--election-timeout", "2000", "--logger", "zap"};
  self.process = std::make_unique<tests::Background>(words, directory_.path() / (name + ".log"));
}

void EtcdCluster::kill(std::size_t member) { members_[member].process.reset(); }
void EtcdCluster::freeze(std::size_t member) { members_[member].process->freeze(); }
void EtcdCluster::thaw(std::size_t member) { members_[member].process->thaw(); }

std::string EtcdCluster::ask(std::size_t member, const std::string& target, const std::string& body) {
  return await(answer_of(http::HttpsTrust(files_of(authority_, client_)), server(member), target, body));
}

void EtcdCluster::wait_until_writable() {
  const auto until = std::chrono::steady_clock::now() + 60s;
  for (std::string last = "no word";;) {
    try {
      for (std::size_t i = 0; i < size; ++i)
        if (members_[i].process) ask(i, "/v3/kv/put", R"({"key":"cmVhZHk=","value":"eQ=="})");
      return;
    } catch (const std::exception& error) {
      last = error.what();
    }
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error("etcd does not start: " + last);
    std::this_thread::sleep_for(100ms);
  }
}

std::size_t EtcdCluster::leader() {
  for (std::size_t i = 0; i < size; ++i) {
    const std::string status = ask(i, "/v3/maintenance/status", "{}");
    const auto word_after = [&](const std::string& name) {
      const std::size_t begin = status.find("\"" + name + "\":\"") + name.size() + 4;
      return status.substr(begin, status.find('"', begin) - begin);
    };
    if (word_after("member_id") == word_after("leader")) return i;
  }
  throw std::runtime_error("no member of etcd leads");
}

}  // namespace volcrypt::test
