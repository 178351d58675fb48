// Stories told by seeds: what happens to a cluster while its administrator works is chance, but the same in each run of
// a seed. VOLCRYPT_SEED=N runs that one alone and prints it, VOLCRYPT_SEEDS=N the first N.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <iostream>

#include "tests/cluster/world.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace volcrypt::test;

namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Story {
 public:
  explicit Story(std::uint64_t seed)
      : chance_(seed * 7919), size_(3 + chance_.below(3)), world_(seed, size_, size_ - chance_.below(2)) {}

  void tell() {
    if (chance_.below(4) != 0) becomes_encrypted();
    static constexpr std::size_t losses[] = {0, 5, 30, 100};
    auto& weather = world_.network.weather;
    weather.lost = losses[chance_.below(4)];
    weather.doubled = losses[chance_.below(4)];
    weather.late = losses[chance_.below(4)];
    for (int i = 0; i < 20; ++i) {
      something_happens();
      world_.run_for(chance_.up_to(6s));
    }
    world_.mend_everything();
    world_.run_until([this] { return world_.is_at_rest(); }, 240s);
    if (world_.state().phase == EncryptionPhase::Disabled) becomes_encrypted();
    world_.run_for(30s);
    world_.expect_peace();
  }
  const World& world() const { return world_; }

 private:
  static constexpr auto protection = keys::Protection::software;

  std::size_t any() { return chance_.below(size_); }
  void somebody(const std::string& what, const World::Verb& verb) { world_.say(any(), what, verb); }

  void becomes_encrypted() {
    const auto is_enabled = [this] { return world_.state().phase == EncryptionPhase::Enabled; };
    for (std::size_t attempt = 0; attempt < 2 * size_ && !is_enabled(); ++attempt) {
      const std::size_t i = attempt % size_;
      if (!world_.is_member(i)) continue;
      world_.say(i, "set the feature flag", [](ClusterService& service) { return service.set_feature_flag(); });
      world_.run_until([this] { return world_.state().feature_flag; }, 20s);
      world_.say(i, "enable", [](ClusterService& service) { return service.enable(protection); });
      world_.run_until(is_enabled, 60s);
    }
    if (!is_enabled()) world_.broken("a cluster without faults can be enabled");
    for (std::size_t i = 0; i < size_; ++i)
      if (world_.is_member(i)) world_.new_volume(i, "v" + std::to_string(++volumes_));
    world_.run_for(2s);
  }

  void something_happens() {
    switch (chance_.below(15)) {
      case 0:
      case 1:
        if (world_.state().phase == EncryptionPhase::Disabled)
          return somebody("enable", [](ClusterService& service) { return service.enable(protection); });
        [[fallthrough]];
      case 2:
      case 3:
      case 4:
        return somebody("rotate", [](ClusterService& service) { return rotate(service); });
      case 5:
        return somebody("abort", [](ClusterService& service) { return abort(service); });
      case 6:
        return world_.kill(any());
      case 7:
      case 8:
        return wake();
      case 9:
        return world_.network.cut(any(), chance_.below(2) == 0 ? any() : size_);  // a node, or the store
      case 10:
        return world_.network.mend();
      case 11:
        return world_.new_volume(any(), "v" + std::to_string(++volumes_));
      case 12:
        return drive_changes();
      case 13:
        return membership_changes();
      case 14:  // while a KEK is distributed
        somebody("rotate", [](ClusterService& service) { return rotate(service); });
        world_.run_for(chance_.up_to(400ms));
        return membership_changes();
    }
  }
  static asio::awaitable<void> rotate(ClusterService& service) { co_await service.rotate(); }
  static asio::awaitable<void> abort(ClusterService& service) { co_await service.abort_rotation(); }

  void wake() {
    for (std::size_t i = 0; i < size_; ++i)
      if (!world_.nodes[i]->is_up() && world_.is_member(i)) world_.start(i);
  }
  void drive_changes() {
    auto& volumes = world_.nodes[any()]->disk.volumes;
    if (volumes.empty()) return;
    auto at = volumes.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(chance_.below(volumes.size())));
    static constexpr Drive drives[] = {Drive::absent, Drive::failing, Drive::present};
    at->second.drive = drives[chance_.below(3)];
  }
  void membership_changes() {
    const std::size_t at = any(), other = any();
    if (at == other || !world_.is_member(at)) return;
    if (world_.is_member(other)) return world_.remove(at, other);
    world_.admit(at, other);
    if (!world_.nodes[other]->is_up()) world_.start(other);
  }

  Chance chance_;
  const std::size_t size_;
  World world_;
  int volumes_ = 0;
};

std::vector<std::string> story_of(std::uint64_t seed) {
  Story story(seed);
  story.tell();
  return story.world().story();
}

bool keeps_its_promises(std::uint64_t seed) {
  try {
    story_of(seed);
    return true;
  } catch (const BrokenPromise& broken) {
    BOOST_ERROR("seed " << seed << ": " << broken.what() << "\nVOLCRYPT_SEED=" << seed << " runs it again");
    return false;
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_promises_hold_in_every_story) {
  const auto one = number_of("VOLCRYPT_SEED", 0), seeds = number_of("VOLCRYPT_SEEDS", 2'000);
  if (one != 0) {
    for (const auto& line : story_of(one)) std::cout << line << "\n";
    return;
  }
  std::size_t broken = 0;
  BOOST_REQUIRE(seeds > 0U);
  for (std::uint64_t seed = 1; seed <= seeds && broken < 3; ++seed) broken += keeps_its_promises(seed) ? 0 : 1;
}

BOOST_AUTO_TEST_CASE(a_seed_tells_the_same_story_again) {
  for (const std::uint64_t seed : {1U, 17U, 333U}) {
    const auto once = story_of(seed), again = story_of(seed);
    BOOST_TEST(once == again, boost::test_tools::per_element());
    BOOST_TEST(once.size() > 20U);
  }
}
