// A member that was away destroys the KEKs that the cluster let go meanwhile, as soon as no volume here needs them.
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using test::NodeFixture;

BOOST_FIXTURE_TEST_SUITE(member_stray_keks, NodeFixture)

BOOST_AUTO_TEST_CASE(what_the_cluster_let_go_is_destroyed_once_no_volume_here_needs_it) {
  const auto held = [&] {
    const auto look = [](keys::KekStore& store) { return store.held(); };
    std::set<Generation> found;
    for (const auto& record : node->await(node->keys.chosen().with("look", look))) found.insert(record.generation);
    return found;
  };
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  devices->unplug(device);
  node->make_current(2);
  BOOST_TEST(kind_of([&] { node->forget(1); }) == "wrong_state");  // the cluster has let it go, this node has not
  BOOST_TEST(kind_of([&] { node->await(node->member.destroy_stray_keks()); }) == "wrong_state");
  BOOST_TEST((held() == std::set<Generation>{1, 2}));
  devices->plug(device);
  node->await(node->volumes.attach_device(device));
  node->await(node->member.destroy_stray_keks());
  BOOST_TEST((held() == std::set<Generation>{2}));
  BOOST_TEST(node->await(node->volumes.get("data1")).record.generation == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
