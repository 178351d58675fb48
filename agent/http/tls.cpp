// Contexts, certificates and fingerprints by OpenSSL 3.0; see tls.hpp.
#include "agent/http/tls.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <string>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::http {

namespace ssl = boost::asio::ssl;

struct TlsIdentity::State {
  ssl::context context{ssl::context::tlsv13};
  Fingerprint fingerprint{};
};

namespace {

using Certificate = std::unique_ptr<X509, FreeWith<&X509_free>>;

constexpr long largest_certificate =
    4096;  // bytes that the other end's certificate message may have; ours has about 300

void require(bool done, const char* operation) {
  if (!done)
    throw Error(errc::wrong_state, {operation, "through OpenSSL", "Check the memory and the OpenSSL 3 installation."});
}

bool is_p256(const EVP_PKEY* key) {
  char group[32] = {};
  return key != nullptr && EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 && std::string(group) == "prime256v1";
}

Fingerprint fingerprint_of(X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  require(size > 0, "encode a public key");
  const std::unique_ptr<unsigned char, decltype([](unsigned char* bytes) { OPENSSL_free(bytes); })> owner(der);
  Fingerprint fingerprint{};
  require(EVP_Digest(der, static_cast<std::size_t>(size), fingerprint.data(), nullptr, EVP_sha256(), nullptr) == 1,
          "digest a public key");
  return fingerprint;
}

// The least that TLS carries a key in: no name, no extension, and dates that mean "no end".
Certificate certificate_of(EVP_PKEY& key) {
  Certificate certificate(X509_new());
  require(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1 &&
              X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                                         reinterpret_cast<const unsigned char*>("volcrypt"), -1, -1, 0) == 1 &&
              X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get())) == 1 &&
              X509_set_pubkey(certificate.get(), &key) == 1 && X509_sign(certificate.get(), &key, EVP_sha256()) > 0,
          "make a certificate");
  return certificate;
}

// Where a connection keeps the fingerprint that it expects. The index that SSL_set_app_data has is Asio's.
int expectation_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// In the place of OpenSSL's whole verification: no chain is built and no date is asked. That the other end has the
// private part is proved by the handshake (RFC 8446 4.4.3), not here.
int accept_key(X509_STORE_CTX* verification, void* /*unused*/) {
  X509* certificate = X509_STORE_CTX_get0_cert(verification);
  const auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_REJECTED);
  if (certificate == nullptr || connection == nullptr || !is_p256(X509_get0_pubkey(certificate))) return 0;
  const auto* expected = static_cast<const Fingerprint*>(SSL_get_ex_data(connection, expectation_index()));
  try {
    if (expected != nullptr && fingerprint_of(*certificate) != *expected) return 0;
  } catch (const Error&) {  // OpenSSL out of memory: this key was not looked at, so it does not pass
    return 0;
  }
  X509_STORE_CTX_set_error(verification, X509_V_OK);
  return 1;
}

}  // namespace

TlsIdentity::TlsIdentity(evp_pkey_st& key) : state_(std::make_shared<State>()) {
  if (!is_p256(&key))
    throw Error(errc::invalid_argument, {"use as a TLS key", "a key", "It is not of the curve P-256."});
  const Certificate certificate = certificate_of(key);
  state_->fingerprint = fingerprint_of(*certificate);
  SSL_CTX* context = state_->context.native_handle();
  require(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
              SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
              SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1 &&
              SSL_CTX_use_certificate(context, certificate.get()) == 1 && SSL_CTX_use_PrivateKey(context, &key) == 1 &&
              SSL_CTX_set_num_tickets(context, 0) == 1,
          "make a TLS context");
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context, largest_certificate);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, accept_key, nullptr);
}

const Fingerprint& TlsIdentity::fingerprint() const noexcept { return state_->fingerprint; }

ssl::context& TlsIdentity::context() const noexcept { return state_->context; }

void expect_peer(ssl_st& connection, const Fingerprint& expected) {
  require(
      SSL_set_ex_data(&connection, expectation_index(), const_cast<Fingerprint*>(&expected)) == 1,  // no const there
      "keep the fingerprint that is expected");
}

bool is_other_key(const boost::system::error_code& failed) noexcept {
  return failed.category() == boost::asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(failed.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

Fingerprint peer_fingerprint(ssl_st& connection) {
  X509* certificate = SSL_get0_peer_certificate(&connection);
  if (certificate == nullptr) throw Error(errc::peer_refused, {"read the key of", "the other end", "It showed none."});
  return fingerprint_of(*certificate);
}

}  // namespace volcrypt::http
