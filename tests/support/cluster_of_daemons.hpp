// ClusterOfDaemons: real agents on loopback addresses over a real etcd, made a cluster as an administrator would. The
// first one makes it, the others join. Each has its own state, drives and, when asked for, TPM.
#pragma once

#include <boost/asio/ip/host_name.hpp>
#include <boost/json/serialize.hpp>
#include <functional>
#include <memory>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/etcd_cluster.hpp"

namespace volcrypt::test {

class ClusterOfDaemons {
 public:
  using Words = std::vector<std::string>;
  // The TCTI of each agent's TPM: one agent for each. `configuration`: more lines of each one's file.
  explicit ClusterOfDaemons(const Words& tctis, const std::string& configuration = "") : tctis_(tctis) {
    for (std::size_t i = 0; i < tctis.size(); ++i) {
      // Of both families, so that every node talks to the next over the other one.
      const std::string host = i % 2 == 0 ? "127.0.0." + std::to_string(i + 1) : "[::1]";
      addresses_.push_back(host + ":" + std::to_string(free_port(host)));
      daemons_.push_back(std::make_unique<Daemon>(
          tctis[i], Daemon::short_wait + configuration + "address = " + addresses_[i] + "\n", Drives::files));
    }
  }

  Daemon& operator[](std::size_t number) { return *daemons_.at(number); }
  std::size_t size() const noexcept { return daemons_.size(); }
  // Whoever makes the cluster has its machine's name.
  static std::string name(std::size_t number) {
    return number == 0 ? boost::asio::ip::host_name() : "server" + std::to_string(number + 1);
  }
  const std::string& address_of(std::size_t number) const { return addresses_.at(number); }

  Words store() const {
    return {"--store",
            cluster::to_text(address.servers),
            "--store-authority",
            address.files.authority.native(),
            "--store-certificate",
            address.files.certificate.native(),
            "--store-key",
            address.files.key.native(),
            "--store-prefix",
            address.prefix};
  }
  void init() { must_succeed((*this)[0].init(store())); }
  std::string token_file(std::size_t at, const std::string& name = "token") const {
    return daemons_.at(at)->path(name);
  }
  CommandResult join(std::size_t number, std::size_t at, const std::string& token) const {
    Words words = {"cluster", "join", addresses_.at(at), "--token-file", token, "--name", name(number)};
    if (tctis_.at(number) == "none") words.emplace_back("--without-tpm");
    const Words files = store();
    words.insert(words.end(), files.begin(), files.end());
    return daemons_.at(number)->control(words);
  }
  // The authority's file stays with the first one's directory, and is used wherever the administrator is.
  CommandResult with_authority(std::size_t at, Words words,
                               const std::string& passphrase = authority_passphrase) const {
    words.insert(words.end(), {"--authority-file", daemons_.front()->path("authority.json")});
    return daemons_.at(at)->control(words, {passphrase});
  }
  void add(std::size_t number, std::size_t at = 0) {
    const std::string token = token_file(at, "token-" + name(number));
    std::filesystem::remove(token);  // of an earlier time
    must_succeed((*this)[at].control({"cluster", "token", "--output", token}));
    must_succeed(join(number, at, token));
    must_succeed(with_authority(at, {"node", "admit", name(number)}));
    BOOST_REQUIRE(eventually([&] { return is_member(number); }));
  }
  bool is_member(std::size_t number) const {
    return daemons_.at(number)->control({"get", "volumes"}).status == 0 &&
           !daemons_.at(number)->ask({"get", "clusterinfo"}).at("warnings").as_array().empty() &&
           std::filesystem::exists(daemons_.at(number)->state_directory() + "/pin.json");
  }
  void enable(const std::string& protection, std::size_t at = 0) {
    must_succeed((*this)[at].control({"enable", "feature-flag", "cluster-encryption"}));
    must_succeed((*this)[at].control({"enable", "cluster-encryption", "--protection", protection}));
  }
  void create(std::size_t at, const std::string& volume) {
    must_succeed((*this)[at].control({"create", "volume", volume, "--device", (*this)[at].plug(volume)}));
  }
  // When nobody coordinates any more: what a rotation leaves to be destroyed may take longer than it does.
  CommandResult rotate(std::size_t at) const {
    BOOST_REQUIRE(eventually([&] {
      const auto info = daemons_.at(at)->ask({"get", "clusterinfo"});
      return boost::json::serialize(info.at("warnings")).find("works on the cluster's keys") == std::string::npos;
    }));
    return daemons_.at(at)->control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"});
  }
  boost::json::value state() const { return encryption_state(*daemons_.front()); }
  template <class Condition>
  static bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(120)) {
    for (const auto until = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < until;) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return condition();
  }

  EtcdCluster etcd;
  cluster::EtcdAddress address = etcd.address();

 private:
  Words tctis_, addresses_;
  std::vector<std::unique_ptr<Daemon>> daemons_;
};

}  // namespace volcrypt::test
