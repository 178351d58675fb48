// A real etcd of three members on loopback, with TLS and client certificates: two on 127.0.0.1, one on ::1. The first
// may be called localhost as well, and is also on 127.0.0.3, of which its certificate does not know. Ends with
// the object, and with the test program however that ends. The thread that made it must outlive it.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "agent/cluster/etcd_store.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace volcrypt::test {

// Of a loopback address, "127.0.0.1" or "[::1]", for a program that binds it later: none that the kernel gives to
// somebody else meanwhile.
unsigned short free_port(const std::string& host);

class EtcdCluster {
 public:
  static constexpr std::size_t size = 3;

  EtcdCluster();  // returns when it takes writes
  ~EtcdCluster();
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;

  http::HttpsServer server(std::size_t member) const;
  // Of all members, with this test's certificates, and a prefix that no other address of this cluster has.
  cluster::EtcdAddress address();
  const CertificateAuthority& authority() const noexcept { return authority_; }
  std::filesystem::path directory() const { return directory_.path(); }

  void kill(std::size_t member);    // SIGKILL; what it fsynced stays
  void start(std::size_t member);   // again
  void freeze(std::size_t member);  // SIGSTOP: its host takes connections and nothing answers
  void thaw(std::size_t member);
  void wait_until_writable();
  std::size_t leader();
  // A request of the test's own; the answer's body.
  std::string ask(std::size_t member, const std::string& target, const std::string& body);

 private:
  struct Member {
    std::string host;  // as in an URL
    unsigned short client_port = 0, peer_port = 0;
    std::unique_ptr<tests::Background> process;
  };

  tests::TemporaryDirectory directory_;
  CertificateAuthority authority_;
  CertificateFiles named_, unnamed_, client_;
  std::array<Member, size> members_;
  unsigned prefixes_ = 0;
};

}  // namespace volcrypt::test
