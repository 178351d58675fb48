// See certificates.hpp.
#include "tests/support/certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace volcrypt::test {
namespace {

using Key = std::shared_ptr<EVP_PKEY>;
using Certificate = std::shared_ptr<X509>;
using File = std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("cannot ") + what);
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extend a certificate");
  X509_EXTENSION_free(extension);
}

void name(X509_NAME* subject, const std::string& text) {
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(text.c_str()),
                                     -1, -1, 0) == 1,
          "name a certificate");
}

Certificate unsigned_certificate(EVP_PKEY* key, const std::string& subject, int days) {
  static long serial = 1;
  constexpr long day = 24 * 60 * 60;
  Certificate certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -10 * day);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * day);
  name(X509_get_subject_name(certificate.get()), subject);
  require(X509_set_pubkey(certificate.get(), key) == 1, "put a key into a certificate");
  return certificate;
}

void write(const std::filesystem::path& path, EVP_PKEY* key, X509* certificate) {
  const File file(std::fopen(path.c_str(), "w"));
  require(file != nullptr &&
              (key == nullptr ? PEM_write_X509(file.get(), certificate)
                              : PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr)) == 1,
          "write a PEM file");
}

}  // namespace

CertificateAuthority::CertificateAuthority(std::filesystem::path directory, const std::string& name)
    : directory_(std::move(directory)),
      file_(directory_ / (name + ".pem")),
      key_(EVP_EC_gen("P-256"), &EVP_PKEY_free),
      certificate_(unsigned_certificate(key_.get(), name, 1)) {
  X509* self = certificate_.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  extend(self, self, NID_basic_constraints, "critical,CA:TRUE");
  extend(self, self, NID_key_usage, "critical,keyCertSign");
  extend(self, self, NID_subject_key_identifier, "hash");
  require(X509_sign(self, key_.get(), EVP_sha256()) > 0, "sign a certificate");
  write(file_, nullptr, self);
}

CertificateFiles CertificateAuthority::sign(const std::string& name, const std::vector<std::string>& names,
                                            int days) const {
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Certificate certificate = unsigned_certificate(key.get(), name, days);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ",") + one;
  if (!all.empty()) extend(certificate.get(), certificate_.get(), NID_subject_alt_name, all);
  extend(certificate.get(), certificate_.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  require(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0, "sign a certificate");
  const CertificateFiles files{directory_ / (name + ".pem"), directory_ / (name + "-key.pem")};
  write(files.certificate, nullptr, certificate.get());
  write(files.key, key.get(), nullptr);
  return files;
}

}  // namespace volcrypt::test
