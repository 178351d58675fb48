// Neighbours: the volumes of several nodes over one store and one key store, each with drives of its own, in one
// process; and what they ask of each other without port 4007 (that way: tests/image/peer_members, tests/etcd). A drive
// moves by being plugged into another node's machine; one that is plugged into two is a shared one.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "agent/cluster/keys_of_store.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::test {

class Neighbours final : public volumes::OtherNodes {
 public:
  struct Node {
    std::string name;
    volumes::VolumeService* volumes = nullptr;
  };
  cluster::Store* store = nullptr;
  std::map<Uuid, Node> nodes;
  std::set<Uuid> silent, removed;
  std::size_t asked = 0;
  std::function<boost::asio::awaitable<void>()> after_answer;  // once

  std::string name_of(const Uuid& node) const override {
    const auto found = nodes.find(node);
    return found == nodes.end() || removed.contains(node) ? "" : found->second.name;
  }
  boost::asio::awaitable<volumes::MembersNow> members() override {
    const auto entry = co_await store->get(std::string(cluster::store_key::membership));
    volumes::MembersNow now;
    now.revision = entry->modified;
    for (const auto& [id, node] : nodes)
      if (!removed.contains(id)) now.names.emplace(id, node.name);
    co_return now;
  }
  boost::asio::awaitable<volumes::Holding> ask(Uuid node, Uuid volume) override {
    ++asked;
    if (silent.contains(node)) {  // nobody knows so before a while has passed
      boost::asio::steady_timer while_we_wait(co_await boost::asio::this_coro::executor,
                                              std::chrono::milliseconds(100));
      co_await while_we_wait.async_wait(boost::asio::use_awaitable);
      throw Error(errc::timed_out, {"ask the node", name_of(node), "Is it up?"});
    }
    const volumes::Holding holding = co_await nodes.at(node).volumes->holds(volume);
    const auto call = std::exchange(after_answer, nullptr);
    if (call) co_await call();
    co_return holding;
  }
};

// node1 is the TestNode of NodeFixture; node2 and node3 are further VolumeServices. A restart is one of all.
struct NeighboursFixture : NodeFixture {
  struct Another {
    Another(NeighboursFixture& all, const std::string& name, const Uuid& id, std::shared_ptr<FileDevices> drives)
        : machine(std::move(drives)),
          volumes({all.cluster_id(), id, all.directory.path(name), all.directory.path(name + "-run")}, all.node->store,
                  all.node->keys, all.node->worker, machine) {}
    std::shared_ptr<FileDevices> machine;
    volumes::VolumeService volumes;
  };

  const Uuid second_id = Uuid::random(), third_id = Uuid::random();
  const std::shared_ptr<FileDevices> second_drives = std::make_shared<FileDevices>(),
                                     third_drives = std::make_shared<FileDevices>();
  Neighbours neighbours;
  std::unique_ptr<Another> second, third;

  NeighboursFixture() { meet(); }
  void meet() {
    neighbours.store = &node->store;
    second = join("node2", second_id, second_drives);
    third = join("node3", third_id, third_drives);
    node->volumes.ask_through(neighbours);
    neighbours.nodes[first_id()] = {"node1", &node->volumes};
  }
  Uuid first_id() { return node->member.id(); }
  Uuid cluster_id() { return node->await(node->pin.read())->pin.cluster; }
  // All machines go down and come up; only the first one's mappings are gone, as tests look at no other's.
  void reboot_all() {
    second.reset();
    third.reset();
    reboot();
    meet();
  }

 private:
  std::unique_ptr<Another> join(const std::string& name, const Uuid& id, std::shared_ptr<FileDevices> drives) {
    for (const std::string part : {"", "-run"}) std::filesystem::create_directories(directory.path(name + part));
    auto joined = std::make_unique<Another>(*this, name, id, std::move(drives));
    joined->volumes.ask_through(neighbours);
    neighbours.nodes[id] = {name, &joined->volumes};
    return joined;
  }
};

// node1 has made the volume data1 on a drive that tests move.
struct MovedDrive : NeighboursFixture {
  std::string device = drive("vdb");
  Uuid volume = node->create("data1", device).record.volume;

  volumes::VolumeService& first() { return node->volumes; }
  volumes::VolumeService& other() { return second->volumes; }
  template <class T>
  T at(boost::asio::awaitable<T> task) {
    return node->await(std::move(task));
  }
  Uuid owner() { return cluster::parse_volume_record(at(node->store.get("volume/data1"))->value).owner; }
  void pull() {
    at(first().detach("data1"));
    devices->unplug(device);
  }
  void move() {
    pull();
    second_drives->plug(device);
  }
  std::string plugged_in(volumes::VolumeService& here) {
    return kind_of([&] { at(here.attach_device(device)); });
  }
};

}  // namespace volcrypt::test
