// Where an etcd cluster is and how this node makes itself known there, as the operator writes it and as it is kept.
// Pure. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/http/https_server.hpp"

namespace volcrypt::cluster {

struct EtcdAddress {
  std::vector<http::HttpsServer> servers;  // etcd's client URLs, tried in this order; 1 to 16
  http::HttpsFiles files;
  std::string prefix = "/volcrypt/";  // before every key; whoever shares an etcd gives each cluster its own
  bool operator==(const EtcdAddress&) const = default;
};

// "etcd:https://a.example:2379,https://[2001:db8::1]:2379"; "https://" and the port 2379 may be left out. Throws
// Error(errc::invalid_argument) that says what is wrong, also for etcd without TLS.
std::vector<http::HttpsServer> parse_etcd_servers(std::string_view text);
std::string to_text(const std::vector<http::HttpsServer>& servers);  // the form above, with nothing left out

// 1 to 128 printable ASCII characters without blanks, with a slash at its end. Throws Error(errc::invalid_argument).
void check_etcd_prefix(const std::string& prefix);

}  // namespace volcrypt::cluster
