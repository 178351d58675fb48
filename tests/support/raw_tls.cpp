// Certificates and clients by OpenSSL, see raw_tls.hpp.
#include "tests/support/raw_tls.hpp"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <stdexcept>

#include "dmtarget/handle.hpp"

namespace volcrypt::test {

using Tcp = asio::ip::tcp;
using Certificate = std::unique_ptr<X509, FreeWith<&X509_free>>;

namespace {

void require(bool done) {
  if (!done) throw std::runtime_error("OpenSSL failed in a test");
}

std::shared_ptr<EVP_PKEY> key_of(const TlsShape& shape) {
  switch (shape.certificate) {
    case TlsShape::Certificate::rsa:
      return {EVP_RSA_gen(2048), EVP_PKEY_free};
    case TlsShape::Certificate::p384:
      return {EVP_EC_gen("P-384"), EVP_PKEY_free};
    default:
      return shape.key ? shape.key->key : new_tls_secret().key;
  }
}

Certificate certificate_of(EVP_PKEY& key, TlsShape::Certificate shape) {
  constexpr long day = 24 * 3600;
  const long begin = shape == TlsShape::Certificate::future ? 3650 * day : -3650 * day;
  const long end = shape == TlsShape::Certificate::expired ? -3000 * day : 7300 * day;
  const std::string name = shape == TlsShape::Certificate::huge ? std::string(64, 'x') : "x";
  Certificate certificate(X509_new());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (int i = 0; i < (shape == TlsShape::Certificate::huge ? 100 : 1); ++i)
    require(X509_NAME_add_entry_by_txt(subject, "OU", MBSTRING_ASC,
                                       reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0) == 1);
  require(X509_gmtime_adj(X509_getm_notBefore(certificate.get()), begin) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate.get()), end) &&
          X509_set_pubkey(certificate.get(), &key) == 1 && X509_sign(certificate.get(), &key, EVP_sha256()) > 0);
  return certificate;
}

asio::ssl::context context_of(const TlsShape& shape) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX* raw = context.native_handle();
  if (shape.newest_version == TlsShape::Version::tls12)
    require(SSL_CTX_set_max_proto_version(raw, TLS1_2_VERSION) == 1);
  if (shape.certificate == TlsShape::Certificate::none) return context;
  const std::shared_ptr<EVP_PKEY> key = key_of(shape);
  const Certificate certificate = certificate_of(*key, shape.certificate);
  require(SSL_CTX_use_certificate(raw, certificate.get()) == 1 && SSL_CTX_use_PrivateKey(raw, key.get()) == 1);
  return context;
}

Endpoint first_of(const TlsNode& server) { return server.endpoints().front(); }

}  // namespace

struct TcpClient::State {
  asio::io_context loop;
  Tcp::socket socket{loop};
};

TcpClient::TcpClient(const TlsNode& server, const std::string& from) : state_(std::make_unique<State>()) {
  state_->socket.open(Tcp::v4());
  state_->socket.bind({asio::ip::make_address(from), 0});
  state_->socket.connect(first_of(server));
}
TcpClient::TcpClient(TcpClient&&) noexcept = default;
TcpClient::~TcpClient() = default;

void TcpClient::send(const std::string& text) {
  boost::system::error_code closed;  // the server may have had enough
  asio::write(state_->socket, asio::buffer(text), closed);
}

std::string TcpClient::rest() {
  std::string all;
  boost::system::error_code end;
  asio::read(state_->socket, asio::dynamic_buffer(all), end);
  return all;
}

struct RawTls::State {
  explicit State(const TlsShape& shape) : context(context_of(shape)) {}
  asio::io_context loop;
  asio::ssl::context context;
  asio::ssl::stream<Tcp::socket> stream{loop, context};
  boost::system::error_code failed;
};

RawTls::RawTls(const TlsNode& server, const TlsShape& shape) : state_(std::make_unique<State>(shape)) {
  state_->stream.next_layer().connect(first_of(server));
  state_->stream.handshake(asio::ssl::stream_base::client, state_->failed);
}
RawTls::~RawTls() = default;

std::string RawTls::answer(const std::string& target) {
  if (state_->failed) return {};
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
  asio::write(state_->stream, asio::buffer(request), state_->failed);
  std::array<char, 4096> buffer{};
  if (state_->failed) return {};
  const std::size_t count = state_->stream.read_some(asio::buffer(buffer), state_->failed);
  return {buffer.data(), count};
}

std::string raw_tls_answer(const TlsNode& server, const TlsShape& shape) {
  return RawTls(server, shape).answer("/raw");
}

}  // namespace volcrypt::test
