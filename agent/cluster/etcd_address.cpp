// The operator's spelling of an etcd cluster, see etcd_address.hpp.
#include "agent/cluster/etcd_address.hpp"

#include <algorithm>
#include <charconv>

#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

constexpr std::uint16_t default_port = 2379;  // IANA's etcd-client
constexpr std::size_t most_servers = 16, longest_host = 253, longest_prefix = 128;

[[noreturn]] void refuse(std::string_view text, std::string why) {
  throw Error(errc::invalid_argument,
              {"use the store", volcrypt::quoted(text),
               std::move(why) + " It is written etcd:https://HOST:2379, with a comma between several."});
}

bool is_host(std::string_view host) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':'; };
  return !host.empty() && host.size() <= longest_host && std::all_of(host.begin(), host.end(), allowed);
}

std::uint16_t port_of(std::string_view digits, std::string_view whole) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc() || end != digits.data() + digits.size() || port == 0)
    refuse(whole, "A port is a number from 1 to 65535.");
  return port;
}

http::HttpsServer server_of(std::string_view url, std::string_view whole) {
  if (url.starts_with("http://"))
    refuse(whole, "An etcd without TLS is not used: whoever is on the network could change the store.");
  if (url.starts_with("https://")) url.remove_prefix(8);
  if (url.ends_with('/')) url.remove_suffix(1);
  http::HttpsServer server{std::string(url), default_port};
  const bool brackets = url.starts_with('[');
  const std::size_t end_of_host = brackets ? url.find(']') : url.find(':');
  if (brackets) {
    if (end_of_host == std::string_view::npos) refuse(whole, "A bracket is not closed.");
    server.host = url.substr(1, end_of_host - 1);
    const std::string_view rest = url.substr(end_of_host + 1);
    if (!rest.empty() && !rest.starts_with(':')) refuse(whole, "After the bracket comes a colon and the port.");
    if (!rest.empty()) server.port = port_of(rest.substr(1), whole);
  } else if (end_of_host != std::string_view::npos) {
    server.host = url.substr(0, end_of_host);
    server.port = port_of(url.substr(end_of_host + 1), whole);
  }
  const bool colons = server.host.find(':') != std::string::npos;
  if (!is_host(server.host) || colons != brackets)
    refuse(whole, "A host is a DNS name, an IPv4 address, or an IPv6 address in brackets.");
  return server;
}

}  // namespace

std::vector<http::HttpsServer> parse_etcd_servers(std::string_view text) {
  constexpr std::string_view scheme = "etcd:";
  if (!text.starts_with(scheme)) refuse(text, "Stores of many nodes are etcd clusters.");
  std::vector<http::HttpsServer> servers;
  std::string_view rest = text.substr(scheme.size());
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    http::HttpsServer server = server_of(rest.substr(0, comma), text);
    if (std::find(servers.begin(), servers.end(), server) != servers.end())
      refuse(text, "The server " + http::to_text(server) + " stands there twice.");
    servers.push_back(std::move(server));
    if (servers.size() > most_servers)
      refuse(text, "At most " + std::to_string(most_servers) + " servers are allowed.");
    if (more) rest.remove_prefix(comma + 1);
  }
  return servers;
}

std::string to_text(const std::vector<http::HttpsServer>& servers) {
  std::string text;
  for (const http::HttpsServer& server : servers)
    text += (text.empty() ? "etcd:https://" : ",https://") + http::to_text(server);
  return text;
}

void check_etcd_prefix(const std::string& prefix) {
  const auto printable = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
  if (prefix.ends_with('/') && prefix.size() <= longest_prefix && std::all_of(prefix.begin(), prefix.end(), printable))
    return;
  throw Error(errc::invalid_argument,
              {"use the prefix", volcrypt::quoted(prefix),
               "It must have at most 128 printable ASCII characters without blanks, the last of them a slash."});
}

}  // namespace volcrypt::cluster
