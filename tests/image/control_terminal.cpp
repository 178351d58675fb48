// volcryptctl on a terminal: passphrases without echo, whatever happens; progress that is drawn over. And the same
// progress in a transcript. The agent is a scripted one: volcryptctl talks to nobody else.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <thread>

#include "agent/http/server.hpp"
#include "agent/runtime/spawn.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/terminal.hpp"

using namespace volcrypt;
using tests::Terminal;

namespace {

std::string member(const std::string& name, bool proved, bool rewrapped, int done, int total, int absent = 0) {
  const auto word = [](bool yes) { return yes ? "true" : "false"; };
  return R"({"name":")" + name + R"(","proved":)" + word(proved) + R"(,"rewrapped":)" + word(rewrapped) +
         R"(,"total":)" + std::to_string(total) + R"(,"done":)" + std::to_string(done) + R"(,"absent":)" +
         std::to_string(absent) + R"(,"failures":[]})";
}

std::string rotation(const std::string& state, int generation, const std::string& members) {
  return R"({"rotationState":")" + state + R"(","currentKekGeneration":)" + std::to_string(generation) +
         R"(,"previousKekGenerations":[],"distributingKekGeneration":)" +
         (state == "DistributingKEK" ? std::to_string(generation + 1) : "null") + R"(,"members":[)" + members +
         R"(],"waitingFor":null,"lastFailure":null})";
}
std::string rotation(const std::string& state, int generation, int done, int total) {
  return rotation(state, generation, member("server1", false, done == total, done, total));
}

// Answers each GET of the rotation by the next line of the script, the last one for ever.
class ScriptedAgent {
 public:
  explicit ScriptedAgent(std::vector<std::string> script) : script_(std::move(script)) {
    http::Application application;
    application.admit = [](const http::Peer&) { return std::nullopt; };
    application.handle = [this](http::Request request, std::string target) {
      return answer(std::move(request), std::move(target));
    };
    application.refuse = [](unsigned status, std::string text) {
      http::Response response;
      response.status = status;
      response.body = std::move(text);
      return response;
    };
    application.failed = [](const std::exception_ptr&) {};
    server_ = std::make_unique<http::Server>(loop_.get_executor(), http::SocketFile{socket, 0600, std::nullopt},
                                             http::Limits{}, std::move(application));
    runtime::spawn(loop_.get_executor(), "scripted agent", server_->run());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ScriptedAgent() {
    loop_.stop();
    thread_.join();
  }
  std::size_t requests() const { return requests_; }

 private:
  http::asio::awaitable<http::Response> answer(http::Request request, std::string target) {
    ++requests_;
    http::Response response;
    response.body = "{}";
    if (target == "/v1/rotation" && request.method == http::Method::post) response.body = R"({"generation":2})";
    if (target == "/v1/rotation" && request.method == http::Method::get)
      response.body = script_[std::min(next_++, script_.size() - 1)];
    co_return response;
  }

  tests::TemporaryDirectory directory_;
  std::vector<std::string> script_;
  std::size_t next_ = 0;
  std::atomic<std::size_t> requests_ = 0;
  http::asio::io_context loop_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;

 public:
  const std::string socket = (directory_.path() / "s").native();
};

const std::vector<std::string> whole_rotation = {
    rotation("DistributingKEK", 1, 0, 0), rotation("EncryptingDEKs", 2, 0, 3), rotation("EncryptingDEKs", 2, 0, 3),
    rotation("EncryptingDEKs", 2, 2, 3), rotation("NoRotation", 2, 3, 3)};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct Init {
  tests::TemporaryDirectory directory;
  ScriptedAgent agent{{"{}"}};
  std::string authority = (directory.path() / "authority.json").native();
  std::string recovery = (directory.path() / "recovery.json").native();
  Terminal terminal{{VOLCRYPTCTL, "--socket", agent.socket, "cluster", "init", "--name", "vault", "--authority-file",
                     authority, "--recovery-file", recovery}};

  // At a prompt, and deaf.
  void prompted(const std::string& prompt) {
    terminal.expect(prompt);
    for (int i = 0; i < 200 && terminal.echoes(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    BOOST_TEST(!terminal.echoes());
  }
  bool made(const std::string& file) const {
    struct stat found {};
    return ::stat(file.c_str(), &found) == 0;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(terminal)

BOOST_FIXTURE_TEST_CASE(passphrases_of_new_keys_are_asked_twice_and_never_shown, Init) {
  for (const std::string word : {"authority-Pass.4711", "recovery-Pass.0815"}) {
    prompted("Passphrase of ");
    terminal.type(word + "\r");
    prompted("The same again: ");
    terminal.type(word + "\r");
  }
  terminal.wait();  // how it ends is the scripted agent's doing
  BOOST_TEST(count(terminal.seen(), "-Pass.") == 0u);
  BOOST_TEST(count(terminal.seen(), "The same again: ") == 2u);
  BOOST_TEST(terminal.echoes());
  BOOST_TEST(made(authority));
  BOOST_TEST(made(recovery));
}

BOOST_FIXTURE_TEST_CASE(two_passphrases_that_differ_end_the_verb_before_anything_is_made, Init) {
  prompted("Passphrase of ");
  terminal.type("authority-Pass.4711\r");
  prompted("The same again: ");
  terminal.type("authority-Pass.4712\r");
  BOOST_TEST(terminal.wait() == 2);
  BOOST_TEST(count(terminal.seen(), "the two differ") == 1u);
  BOOST_TEST(terminal.echoes());
  BOOST_TEST(!made(authority));
}

BOOST_FIXTURE_TEST_CASE(control_c_at_a_prompt_ends_the_verb_and_gives_the_echo_back, Init) {
  prompted("Passphrase of ");
  terminal.type("half-typed\x03");
  BOOST_TEST(terminal.wait() != 0);
  BOOST_TEST(terminal.echoes());
  BOOST_TEST(count(terminal.seen(), "half-typed") == 0u);
  BOOST_TEST(count(terminal.seen(), "called off") == 1u);
  BOOST_TEST(!made(authority));
}

BOOST_AUTO_TEST_CASE(on_a_terminal_progress_is_one_line_that_is_drawn_over) {
  const ScriptedAgent agent(whole_rotation);
  Terminal narrow({VOLCRYPTCTL, "--socket", agent.socket, "rotate", "cluster-root-key", "--wait"}, 50);
  BOOST_TEST(narrow.wait() == 0);
  const std::string& seen = narrow.seen();
  BOOST_TEST_MESSAGE(seen);
  BOOST_TEST(count(seen, "\r\033[K") >= 5u);  // each look, and the end
  BOOST_TEST(count(seen, "\n") == 1u);        // the result's
  BOOST_TEST(seen.find("\r\033[KGeneration 2 is current.") != std::string::npos);
  for (std::size_t at = 0; (at = seen.find("\r\033[K[", at)) != std::string::npos; ++at)
    BOOST_TEST(seen.find('\r', at + 1) - (at + 4) < 50u);
}

BOOST_AUTO_TEST_CASE(in_a_transcript_each_change_is_one_line_before_the_result) {
  const ScriptedAgent agent(whole_rotation);
  const auto ran =
      tests::run({"/bin/sh", "-c",
                  std::string(VOLCRYPTCTL) + " --socket " + agent.socket + " rotate cluster-root-key --wait 2>&1"});
  BOOST_TEST(ran.status == 0);
  BOOST_TEST(ran.out ==
             "DistributingKEK: 0 of 1 members have generation 2\n"
             "EncryptingDEKs: 0 of 3 volumes under generation 2\n"
             "EncryptingDEKs: 2 of 3 volumes under generation 2\n"
             "Generation 2 is current.\n");
}

BOOST_AUTO_TEST_CASE(of_many_members_it_says_what_each_has_still_to_do) {
  const ScriptedAgent agent(
      {rotation("DistributingKEK", 1, member("a", true, false, 0, 0) + "," + member("b", false, false, 0, 0)),
       rotation("EncryptingDEKs", 2, member("a", false, true, 3, 3) + "," + member("b", false, false, 1, 4, 2)),
       rotation("NoRotation", 2, member("a", false, false, 3, 3) + "," + member("b", false, false, 2, 4, 2))});
  const auto ran =
      tests::run({"/bin/sh", "-c",
                  std::string(VOLCRYPTCTL) + " --socket " + agent.socket + " rotate cluster-root-key --wait 2>&1"});
  BOOST_TEST(ran.status == 0);
  BOOST_TEST(ran.out ==
             "DistributingKEK: 1 of 2 members have generation 2; left: b\n"
             "EncryptingDEKs: 4 of 7 volumes under generation 2; left: b 1 of 4 (2 absent)\n"
             "Generation 2 is current.\n"
             "2 volumes of b were absent and keep a previous generation until their drives return\n");
}

BOOST_AUTO_TEST_CASE(forgetting_and_deleting_ask_for_the_name_and_another_name_changes_nothing) {
  for (const std::string verb : {"forget", "delete"}) {
    const ScriptedAgent agent({"{}"});
    Terminal wrong({VOLCRYPTCTL, "--socket", agent.socket, verb, "volume", "data1"});
    wrong.expect("Type the volume's name to go on: ");
    const auto before = agent.requests();
    wrong.type("data2\r");
    BOOST_TEST(wrong.wait() == 2);
    BOOST_TEST(count(wrong.seen(), "Nothing was changed.") == 1u);
    BOOST_TEST(agent.requests() == before);
    Terminal right({VOLCRYPTCTL, "--socket", agent.socket, verb, "volume", "data1"});
    right.expect("Type the volume's name to go on: ");
    right.type("data1\r");
    BOOST_TEST(right.wait() == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
