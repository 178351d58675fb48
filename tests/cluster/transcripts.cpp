// Stories that are written down: each file of transcripts/ is one, read line by line. `#` begins a comment; the first
// line says how many nodes there are and how many of them make the cluster.
#define BOOST_TEST_DYN_LINK
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/cluster/world.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace volcrypt::test;

namespace {

constexpr auto patience = 600s;  // of the simulated clock, for an `until`

asio::awaitable<void> rotate(ClusterService& service) { co_await service.rotate(); }
asio::awaitable<void> abort_rotation(ClusterService& service) { co_await service.abort_rotation(); }
asio::awaitable<void> enable(ClusterService& service) {
  co_await service.set_feature_flag();
  co_await service.enable(keys::Protection::software);
}

std::string numbers(const std::set<Generation>& generations) {
  std::string text;
  for (const auto generation : generations) text += (text.empty() ? "" : " ") + std::to_string(generation);
  return text;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      ++line_;
      std::istringstream words(line.substr(0, line.find('#')));
      std::vector<std::string> said;
      for (std::string word; words >> word;) said.push_back(word);
      if (!said.empty()) perform(said);
    }
    BOOST_TEST_REQUIRE(line_ > 0);
    BOOST_TEST_REQUIRE(expected_ > 0);  // a story without an outcome tests nothing
  }

 private:
  [[noreturn]] void stop(const std::string& why) {
    world_->broken(file_.filename().string() + ":" + std::to_string(line_) + ": " + why);
  }
  std::size_t node(const std::string& name) {
    const auto number = std::stoul(name.substr(4)) - 1;
    if (name.substr(0, 4) != "node" || number >= world_->nodes.size()) stop("there is no " + name);
    return number;
  }
  Network::End end(const std::string& name) { return name == "store" ? world_->nodes.size() : node(name); }
  FakeVolume& volume(const std::string& name) {
    for (auto& each : world_->nodes)
      if (each->disk.volumes.contains(name)) return each->disk.volumes.at(name);
    stop("there is no volume " + name);
  }

  void perform(const std::vector<std::string>& said) {
    const auto& verb = said[0];
    const auto word = [&](std::size_t at) { return at < said.size() ? said[at] : ""; };
    const std::string rest = numbers_of(said, 2);
    if (verb == "nodes") {
      world_ = std::make_unique<World>(7, std::stoul(word(1)), std::stoul(word(3)));
    } else if (verb == "enable") {
      world_->say(node(word(1)), "enable", &enable);
    } else if (verb == "rotate") {
      world_->say(node(word(1)), "rotate", &rotate);
    } else if (verb == "abort") {
      world_->say(node(word(1)), "abort", &abort_rotation);
    } else if (verb == "volume") {
      world_->new_volume(node(word(1)), word(2));
    } else if (verb == "kill") {
      world_->kill(node(word(1)));
    } else if (verb == "start") {
      world_->start(node(word(1)));
    } else if (verb == "cut") {
      world_->network.cut(end(word(1)), end(word(2)));
    } else if (verb == "mend") {
      world_->network.mend();
    } else if (verb == "drive") {
      static const std::map<std::string, Drive> drives{
          {"absent", Drive::absent}, {"failing", Drive::failing}, {"present", Drive::present}};
      volume(word(1)).drive = drives.at(word(2));
    } else if (verb == "admit") {
      world_->admit(node(word(2)), node(word(1)));
    } else if (verb == "remove") {
      world_->remove(node(word(2)), node(word(1)));
    } else if (verb == "wait") {
      world_->run_for(std::chrono::seconds(std::stoul(word(1))));
    } else if (verb == "until") {
      if (!world_->run_until([&] { return fact(word(1)) == rest; }, patience))
        stop(word(1) + " is " + fact(word(1)) + ", not " + rest);
    } else if (verb == "expect") {
      ++expected_;
      if (fact(word(1)) != rest) stop(word(1) + " is " + fact(word(1)) + ", not " + rest);
    } else if (verb == "peace") {
      ++expected_;
      world_->run_until([this] { return world_->is_at_rest(); }, patience);
      world_->run_for(30s);
      world_->expect_peace();
    } else {
      stop("nobody knows the verb " + verb);
    }
  }
  static std::string numbers_of(const std::vector<std::string>& said, std::size_t from) {
    std::string text;
    for (std::size_t i = from; i < said.size(); ++i) text += (text.empty() ? "" : " ") + said[i];
    return text;
  }

  // A number of the state, `node1` for what it holds, or a volume for the generation of its header.
  std::string fact(const std::string& of) {
    const auto state = world_->state();
    if (of == "current") return std::to_string(state.current);
    if (of == "distributing") return std::to_string(state.distributing);
    if (of == "previous") return numbers(state.previous);
    if (of == "rotation") return std::string(spelling(state.rotation));
    if (of == "state") return std::string(spelling(state.phase));
    if (of.starts_with("node")) return numbers(world_->nodes.at(node(of))->disk.held);
    return std::to_string(volume(of).generation);
  }

  std::filesystem::path file_;
  std::unique_ptr<World> world_;
  std::size_t line_ = 0, expected_ = 0;
};

std::vector<std::string> transcripts() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(VOLCRYPT_TRANSCRIPTS))
    if (entry.path().extension() == ".txt") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

BOOST_DATA_TEST_CASE(what_is_written_down_happens, boost::unit_test::data::make(transcripts()), file) {
  try {
    Reader{file};
  } catch (const BrokenPromise& broken) {
    BOOST_ERROR(broken.what());
  }
}

BOOST_AUTO_TEST_CASE(there_are_transcripts) { BOOST_TEST(transcripts().size() >= 8U); }
