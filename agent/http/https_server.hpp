// A server with a certificate, and the files of whoever talks to it, as values. No socket, no TLS. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace volcrypt::http {

struct HttpsFiles {  // PEM
  std::filesystem::path authority;
  std::filesystem::path certificate = {};  // shown to the server, with its chain; empty: none
  std::filesystem::path key = {};          // of that certificate, without a passphrase
  bool operator==(const HttpsFiles&) const = default;
};

struct HttpsServer {
  std::string host;  // a DNS name, or an address without brackets
  std::uint16_t port = 443;
  bool operator==(const HttpsServer&) const = default;
};
std::string to_text(const HttpsServer& server);  // "etcd-1:2379", "[2001:db8::1]:2379"

}  // namespace volcrypt::http
