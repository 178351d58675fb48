// A certificate authority of a test's own, and what it signs: files in PEM. P-256, a day long.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace volcrypt::test {

struct CertificateFiles {
  std::filesystem::path certificate, key;
};

class CertificateAuthority {
 public:
  // Writes DIRECTORY/NAME.pem.
  CertificateAuthority(std::filesystem::path directory, const std::string& name);

  const std::filesystem::path& file() const noexcept { return file_; }
  // Writes NAME.pem and NAME-key.pem, for servers and clients both. `names`: subject alternative names as OpenSSL
  // writes them ("DNS:localhost", "IP:127.0.0.1"). `days`: until it ends; negative: it has ended.
  CertificateFiles sign(const std::string& name, const std::vector<std::string>& names, int days = 1) const;

 private:
  std::filesystem::path directory_, file_;
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<x509_st> certificate_;
};

}  // namespace volcrypt::test
