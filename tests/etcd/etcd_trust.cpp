// Whom the store's client believes, what it shows of itself, and what it says when it is refused. Each refusal is of
// an etcd that runs and would answer.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"
#include "tests/support/etcd_cluster.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

namespace {

test::EtcdCluster& etcd() {
  static test::EtcdCluster cluster;
  return cluster;
}

void read_from(const EtcdAddress& address) {
  EtcdStore store{EtcdStore::Options{address}};
  (void)test::await(store.get("a"));
}

std::string refused(const EtcdAddress& address) {
  return tests::refusal(errc::peer_refused, [&] { read_from(address); });
}

bool tells(const std::string& text, const std::string& what) {
  BOOST_TEST(text.find(what) != std::string::npos, text);
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_server_is_found_by_its_name_and_by_both_kinds_of_address) {
  EtcdAddress address = etcd().address();
  for (std::size_t member : {0, 2}) {
    address.servers = {etcd().server(member)};
    read_from(address);
  }
  address.servers = {{"localhost", etcd().server(0).port}};
  read_from(address);
}

BOOST_AUTO_TEST_CASE(a_certificate_of_another_authority_is_not_believed) {
  const test::CertificateAuthority stranger(etcd().directory(), "stranger");
  EtcdAddress address = etcd().address();
  address.files.authority = stranger.file();
  const std::string text = refused(address);
  tells(text, "certificate was not accepted");
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) tells(text, to_text(etcd().server(member)));
}

BOOST_AUTO_TEST_CASE(a_certificate_of_another_host_is_not_believed) {
  EtcdAddress address = etcd().address();
  address.servers = {{"localhost", etcd().server(1).port}};
  tells(refused(address), "hostname mismatch");
  address.servers = {{"127.0.0.3", etcd().server(0).port}};
  tells(refused(address), "IP address mismatch");
}

BOOST_AUTO_TEST_CASE(a_node_that_shows_no_certificate_or_a_strangers_is_told_so_and_nothing_is_in_doubt) {
  const test::CertificateAuthority stranger(etcd().directory(), "impostor");
  const test::CertificateFiles shown = stranger.sign("impostor-client", {});
  EtcdAddress address = etcd().address();
  for (const http::HttpsFiles& files : {http::HttpsFiles{address.files.authority},
                                        http::HttpsFiles{address.files.authority, shown.certificate, shown.key}}) {
    address.files = files;
    tells(refused(address), "certificate");
    EtcdStore store{EtcdStore::Options{address}};
    Transaction transaction;
    transaction.then.emplace_back(Put{"a", "1"});
    const std::string text = tests::refusal(errc::peer_refused, [&] { (void)test::await(store.commit(transaction)); });
    tells(text, "does not accept the certificate");
  }
}

BOOST_AUTO_TEST_CASE(a_certificate_that_has_ended_is_told_as_such) {
  const test::CertificateFiles ended = etcd().authority().sign("ended", {}, -1);
  EtcdAddress address = etcd().address();
  address.files.certificate = ended.certificate;
  address.files.key = ended.key;
  tells(refused(address), "does not accept the certificate");
}

BOOST_AUTO_TEST_CASE(files_that_are_missing_or_wrong_are_named) {
  const EtcdAddress good = etcd().address();
  const auto told = [](const EtcdAddress& address, const std::filesystem::path& file, bool missing) {
    try {
      EtcdStore store{EtcdStore::Options{address}};
      BOOST_ERROR("not refused: " + file.string());
    } catch (const Error& error) {
      tells(error.what(), file);
      BOOST_TEST((error.code() == errc::invalid_argument) == !missing, error.what());
    }
  };
  const std::filesystem::path junk = etcd().directory() / "junk.pem", nowhere = etcd().directory() / "nowhere.pem";
  std::ofstream(junk) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  for (const auto& [file, missing] : {std::pair{junk, false}, std::pair{nowhere, true}}) {
    EtcdAddress address = good;
    address.files.authority = file;
    told(address, file, missing);
    address = good;
    address.files.certificate = file;
    told(address, file, missing);
    address = good;
    address.files.key = file;
    told(address, file, missing);
  }
  EtcdAddress address = good;  // a key, but of another certificate
  address.files.key = etcd().authority().sign("other", {}).key;
  told(address, address.files.key, false);
  address.files.key = etcd().directory() / "rsa-key.pem";  // of another kind, which OpenSSL does not compare by itself
  const tests::Ran ran =
      tests::run({"/usr/bin/openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-out", address.files.key});
  BOOST_REQUIRE_MESSAGE(ran.status == 0, ran.err);
  told(address, address.files.key, false);
}

BOOST_AUTO_TEST_CASE(a_key_under_a_passphrase_is_refused_and_nobody_is_asked_for_it) {
  EtcdAddress address = etcd().address();
  const std::filesystem::path locked = etcd().directory() / "locked-key.pem";
  const tests::Ran ran = tests::run(
      {"/usr/bin/openssl", "pkcs8", "-topk8", "-in", address.files.key, "-out", locked, "-passout", "pass:secret"});
  BOOST_REQUIRE_MESSAGE(ran.status == 0, ran.err);
  address.files.key = locked;
  const std::string text = tests::refusal(errc::invalid_argument, [&] { EtcdStore{EtcdStore::Options{address}}; });
  tells(text, "without a passphrase");
}

BOOST_AUTO_TEST_CASE(a_name_that_nobody_knows_is_told_within_the_deadline) {
  EtcdAddress address = etcd().address();
  address.servers = {{"no-such-host.invalid", 2379}};
  EtcdStore::Options options{address};
  options.deadline = std::chrono::seconds(3);
  EtcdStore store{options};
  const auto begin = std::chrono::steady_clock::now();
  try {
    (void)test::await(store.get("a"));
    BOOST_ERROR("found no-such-host.invalid");
  } catch (const Error& error) {
    tells(error.what(), "no-such-host.invalid");
  }
  BOOST_TEST((std::chrono::steady_clock::now() - begin < std::chrono::seconds(6)));
}
