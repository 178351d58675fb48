// volcryptctl and volcryptd as processes, in software mode, without devices: what an operator types, what is printed,
// which exit code comes back, and that no passphrase is anywhere but on its descriptor.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "agent/http/client.hpp"
#include "dmtarget/bytes.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const std::string authority_passphrase = "authority-Pass.4711";
const std::string recovery_passphrase = "recovery-Pass.0815";

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

struct Machine {
  tests::TemporaryDirectory directory;
  std::string socket = (directory.path() / "s").native();
  std::string authority_file = (directory.path() / "authority.json").native();
  std::string recovery_file = (directory.path() / "recovery.json").native();
  std::string log = (directory.path() / "log").native();
  std::unique_ptr<tests::Background> agent;

  void start() {
    agent = std::make_unique<tests::Background>(
        std::vector<std::string>{VOLCRYPTD, "--tcti", "none", "--state-directory",
                                 (directory.path() / "state").native(), "--socket", socket, "--socket-group", ""},
        log);
    for (int i = 0; i < 400; ++i) {
      try {
        if (http::Client(socket, 1s).request(http::Method::get, "/v1/version", "", 5s).status == 200) return;
      } catch (const Error&) {  // not there yet
      }
      std::this_thread::sleep_for(50ms);
    }
    BOOST_FAIL("the agent does not answer: " + content(log));
  }

  tests::Ran ctl(std::vector<std::string> words, const std::vector<std::string>& passphrases = {}) {
    std::vector<std::string> all{VOLCRYPTCTL, "--socket", socket};
    for (std::size_t i = 0; i < passphrases.size(); ++i) {
      all.insert(all.end(), {"--passphrase-fd", std::to_string(3 + i)});
    }
    all.insert(all.end(), words.begin(), words.end());
    tests::Ran ran = tests::run(all, passphrases);
    BOOST_TEST_MESSAGE(words.front() << " " << words.back() << " -> " << ran.status << "\n" << ran.out << ran.err);
    return ran;
  }

  void must(const std::vector<std::string>& words, const std::vector<std::string>& passphrases = {}) {
    const auto ran = ctl(words, passphrases);
    BOOST_REQUIRE_MESSAGE(ran.status == 0, ran.err << content(log));
  }

  tests::Ran init() {
    return ctl({"cluster", "init", "--name", "vault", "--without-tpm", "--authority-file", authority_file,
                "--recovery-file", recovery_file},
               {authority_passphrase + "\n", recovery_passphrase});
  }

  void enabled() {
    start();
    BOOST_REQUIRE_EQUAL(init().status, 0);
    must({"enable", "feature-flag", "cluster-encryption"});
    must({"enable", "cluster-encryption", "--protection", "software"});
  }

  json::value info() { return json::parse(ctl({"get", "clusterinfo", "-o", "json"}).out); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(process, Machine)

BOOST_AUTO_TEST_CASE(without_an_agent_the_cause_and_the_way_out_are_told) {
  const auto ran = ctl({"get", "volumes"});
  BOOST_TEST(ran.status == 3);
  BOOST_TEST(ran.out == "");
  BOOST_TEST(ran.err == "volcryptctl: cannot reach the agent on " + socket +
                            ": No such file or directory. Look whether it runs: systemctl status volcryptd.\n");
}

BOOST_AUTO_TEST_CASE(before_init_verbs_say_what_to_do_first) {
  start();
  for (const auto& words : std::vector<std::vector<std::string>>{{"create", "volume", "data1", "--device", "/dev/null"},
                                                                 {"rotate", "cluster-root-key"}}) {
    const auto ran = ctl(words);
    BOOST_TEST(ran.status == 4);
    BOOST_TEST(ran.err.rfind("volcryptctl: cannot ", 0) == 0u);
    BOOST_TEST(holds(ran.err, "cluster"));
  }
  BOOST_TEST(ctl({"settle", "--timeout", "1"}).status == 0);
  const auto status = ctl({"get", "clusterinfo"});
  BOOST_TEST(status.status == 0);
  BOOST_TEST(holds(status.out, "none yet; make one by `volcryptctl cluster init`"));
  BOOST_TEST(agent->stop(SIGTERM) == 0);
}

BOOST_AUTO_TEST_CASE(init_writes_two_key_files_and_no_passphrase_is_left_anywhere) {
  start();
  const auto made = init();
  BOOST_REQUIRE_MESSAGE(made.status == 0, made.err << content(log));
  for (const auto& file : {authority_file, recovery_file}) {
    struct stat found {};
    BOOST_REQUIRE(::stat(file.c_str(), &found) == 0);
    BOOST_TEST((found.st_mode & 07777u) == 0600u);
  }
  const std::string before = content(authority_file);
  const auto again = init();
  BOOST_TEST(again.status == 4);
  BOOST_TEST(content(authority_file) == before);
  agent->stop(SIGTERM);
  for (const auto& passphrase : {authority_passphrase, recovery_passphrase}) {
    BOOST_TEST(!holds(made.seen + made.out + made.err, passphrase));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
      if (entry.is_regular_file()) BOOST_TEST(!holds(content(entry.path()), passphrase));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_way_to_an_enabled_cluster_and_through_a_rotation) {
  start();
  BOOST_REQUIRE_EQUAL(init().status, 0);
  BOOST_TEST(ctl({"enable", "cluster-encryption", "--protection", "software"}).status == 4);
  must({"enable", "feature-flag", "cluster-encryption"});
  BOOST_TEST(holds(ctl({"enable", "feature-flag", "cluster-encryption"}).out, "nothing changed"));
  BOOST_TEST(ctl({"enable", "cluster-encryption", "--protection", "tpm"}).status != 0);
  must({"enable", "cluster-encryption", "--protection", "software", "--check"});
  BOOST_TEST(info().at("encryptionState").at("state").as_string() == "Disabled");
  must({"enable", "cluster-encryption", "--protection", "software"});
  auto state = info().at("encryptionState");
  BOOST_TEST(state.at("state").as_string() == "Enabled");
  BOOST_TEST(state.at("keyProtection").as_string() == "software");
  BOOST_TEST(state.at("currentKekGeneration").to_number<int>() == 1);

  const auto rotated = ctl({"rotate", "cluster-root-key", "--wait", "--timeout", "100"});
  BOOST_TEST(rotated.status == 0);
  BOOST_TEST(holds(rotated.out, "Generation 2 is current.\n"));
  state = info().at("encryptionState");
  BOOST_TEST(state.at("currentKekGeneration").to_number<int>() == 2);
  BOOST_TEST(state.at("rotationState").as_string() == "NoRotation");

  agent->stop(SIGKILL);
  start();
  BOOST_TEST(info().at("encryptionState") == state);
  const auto yaml = YAML::Load(ctl({"get", "clusterinfo", "-o", "yaml"}).out);
  BOOST_TEST(yaml["encryptionState"]["currentKekGeneration"].as<int>() == 2);
  BOOST_TEST(yaml["cluster"]["name"].as<std::string>() == "vault");
}

BOOST_AUTO_TEST_CASE(recovery_is_verified_with_the_right_key_only) {
  enabled();
  BOOST_TEST(info().at("recovery").at("verified").as_bool() == false);
  BOOST_TEST(ctl({"recovery", "verify", "--recovery-file", recovery_file}, {"wrong passphrase"}).status == 7);
  BOOST_TEST(ctl({"recovery", "verify", "--recovery-file", authority_file}, {authority_passphrase}).status != 0);
  BOOST_TEST(info().at("recovery").at("verified").as_bool() == false);
  must({"recovery", "verify", "--recovery-file", recovery_file}, {recovery_passphrase});
  BOOST_TEST(info().at("recovery").at("verified").as_bool() == true);
  const std::string bundle = (directory.path() / "bundle.json").native();
  must({"recovery", "export", "--output", bundle});
  BOOST_TEST(ctl({"recovery", "export", "--output", bundle}).status == 4);
  BOOST_TEST(json::parse(content(bundle)).is_object());
  const std::string drive = (directory.path() / "drive").native();
  std::ofstream(drive) << std::string(2 * 1024 * 1024, 'x');
  std::filesystem::resize_file(drive, 64 * 1024 * 1024);
  const auto foreign =
      ctl({"recovery", "open", "--device", drive, "--bundle", bundle, "--recovery-file", recovery_file});
  BOOST_TEST(foreign.status == 9);  // the drive is not ours, told before any passphrase is asked
  const auto misnamed = ctl({"recovery", "open", "--device", drive, "--bundle", bundle, "--recovery-file",
                             recovery_file, "--name", "../data1"});
  BOOST_TEST(misnamed.status == 2);  // before the drive is looked at
  BOOST_TEST(holds(misnamed.err, "../data1"));
}

// FAILURES.md G: fleet#46535, an escrow that held the old key while its status looked verified.
BOOST_AUTO_TEST_CASE(after_a_rotation_the_recovery_key_counts_as_verified_only_when_it_opened_the_new_blob) {
  enabled();
  const auto verify = [&] {
    must({"recovery", "verify", "--recovery-file", recovery_file}, {recovery_passphrase});
    BOOST_TEST(info().at("recovery").at("verified").as_bool());
    BOOST_TEST(info().at("recovery").at("unverifiedSinceGeneration").is_null());
    BOOST_TEST(!holds(ctl({"get", "clusterinfo"}).out, "recovery verify"));
  };
  verify();
  must({"rotate", "cluster-root-key", "--wait", "--timeout", "100"});
  BOOST_TEST(!info().at("recovery").at("verified").as_bool());
  BOOST_TEST(info().at("recovery").at("unverifiedSinceGeneration").to_number<int>() == 2);
  const std::string table = ctl({"get", "clusterinfo"}).out;
  BOOST_TEST(holds(table, "not verified since KEK generation 2\n"));
  BOOST_TEST(holds(table,
                   "The recovery key is not verified since KEK generation 2: run `volcryptctl recovery verify "
                   "--recovery-file FILE`."));
  verify();
}

// The requests behind `cluster init`, `approve-boot-state` and `recovery verify`, sent again as after an unknown
// outcome.
BOOST_AUTO_TEST_CASE(requests_that_are_repeated_say_that_nothing_changed) {
  enabled();
  http::Client client(socket, 2s);
  const auto send = [&](http::Method method, const char* target, const std::string& body) {
    const auto response = client.request(method, target, body, 10s);
    return std::to_string(response.status) + " " + (holds(response.body, "\"changed\":true") ? "changed" : "same");
  };
  const std::string membership = client.request(http::Method::get, "/v1/cluster/membership", "", 5s).body;
  BOOST_TEST(send(http::Method::post, "/v1/cluster", membership) == "200 same");
  BOOST_TEST(send(http::Method::put, "/v1/cluster/membership", membership) == "200 same");
  const json::value bundle = json::parse(client.request(http::Method::get, "/v1/recovery/bundle", "", 5s).body);
  const std::string name = to_hex(from_base64(bundle.at("blobs").at(0).at("name").as_string().c_str()));
  const std::string verified = R"({"names":[")" + name + R"("]})";
  BOOST_TEST(send(http::Method::post, "/v1/recovery/verified", verified) == "200 changed");
  BOOST_TEST(send(http::Method::post, "/v1/recovery/verified", verified) == "200 same");
  must({"rotate", "cluster-root-key", "--wait", "--timeout", "100"});
  BOOST_TEST(send(http::Method::post, "/v1/recovery/verified", verified) == "409 same");
}

BOOST_AUTO_TEST_CASE(volumes_that_do_not_exist_and_devices_that_are_wrong) {
  enabled();
  BOOST_TEST(ctl({"get", "volumes"}).out == "NAME  STATE  KEK  SIZE  DEVICE  MAPPING  OWNER\n");
  BOOST_TEST(ctl({"get", "volumes", "-o", "names"}).out == "");
  BOOST_TEST(ctl({"get", "volume", "none"}).status == 5);
  BOOST_TEST(ctl({"attach", "none"}).status == 5);
  BOOST_TEST(ctl({"delete", "volume", "none", "--yes"}).status == 5);
  BOOST_TEST(ctl({"forget", "volume", "none", "--yes"}).status == 5);
  const auto unasked = ctl({"forget", "volume", "none"});
  BOOST_TEST(unasked.status == 2);
  BOOST_TEST(holds(unasked.err, "--yes"));
  BOOST_TEST(ctl({"create", "volume", "bad name", "--device", "/dev/null"}).status == 2);
  BOOST_TEST(ctl({"create", "volume", "data1", "--device", "/no/such/device"}).status == 5);
  BOOST_TEST(ctl({"get", "volume", "../clusterinfo"}).status == 2);
  const auto boot = ctl({"node", "boot-state"});
  BOOST_TEST(boot.status == 0);
  BOOST_TEST(holds(boot.out, "No PCRs are bound"));
}

BOOST_AUTO_TEST_CASE(requests_that_are_wrong_are_told_what_is_wrong) {
  start();
  http::Client client(socket, 2s);
  const auto post = [&](const char* target, const char* body) {
    const auto response = client.request(http::Method::post, target, body, 10s);
    return std::to_string(response.status) + " " + response.body;
  };
  BOOST_TEST(holds(post("/v1/volumes", R"({"name":"a","devise":"/dev/x"})"), "400 "));
  BOOST_TEST(holds(post("/v1/node/identity", "{}"), "\\\"authorityPublic\\\" is missing"));
  BOOST_TEST(holds(post("/v1/rotation?force=1", ""), "400 "));
  BOOST_TEST(holds(post("/v1/nothing", ""), "404 "));
  BOOST_TEST(holds(post("/v1/clusterinfo", ""), "405 "));
  BOOST_TEST(holds(client.request(http::Method::get, "/v1/settled?timeout=x", "", 5s).body, "timeout"));
  const auto metrics = client.request(http::Method::get, "/metrics", "", 5s);
  BOOST_TEST(holds(metrics.body, "volcrypt_errors_total{kind=\"invalid_argument\"} "));
}

BOOST_AUTO_TEST_SUITE_END()
