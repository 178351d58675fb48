// VolumeService: construction, views, settling. The verbs: create, attach, erase, forget, header, rewrap.
#include "agent/volumes/volume_service.hpp"

#include <algorithm>

#include "agent/volumes/service_state.hpp"
#include "agent/volumes/settling.hpp"

namespace volcrypt::volumes {

VolumeService::VolumeService(LocalNode node, cluster::Store& store, keys::NodeKeys& keys,
                             runtime::Worker& device_worker, std::shared_ptr<Devices> devices)
    : state_(std::make_unique<State>(std::move(node), store, keys, device_worker, std::move(devices))) {}

VolumeService::~VolumeService() = default;

void VolumeService::known_as(const Uuid& node) { state_->node.node = node; }
void VolumeService::joined(const Uuid& cluster) { state_->node.cluster = cluster; }
bool VolumeService::member_of_cluster() const { return !state_->node.cluster.is_nil(); }

void VolumeService::when_caught_up(std::function<void()> call) { state_->caught_up = std::move(call); }

void VolumeService::ask_through(OtherNodes& others) { state_->others = &others; }

asio::awaitable<std::vector<VolumeView>> VolumeService::list() { return state_->views(); }
asio::awaitable<VolumeView> VolumeService::get(std::string name) { return state_->view(std::move(name)); }

asio::awaitable<std::optional<std::chrono::steady_clock::duration>> VolumeService::State::quiet_for() {
  if (!quiet_since) co_return std::nullopt;
  bool quiet = true;  // a udev that cannot be asked will not tell of a drive either
  try {
    const auto do_ask = [](Devices& d) { return d.quiet(); };
    quiet = co_await on_device("udev", "ask udev for its queue", look_deadline, do_ask);
  } catch (const Error&) {
    // as above
  }
  const auto now = std::chrono::steady_clock::now();
  if (!quiet) quiet_since = now;
  co_return now - *quiet_since;
}

asio::awaitable<Settlement> VolumeService::settle(std::chrono::milliseconds limit, std::chrono::milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + limit;
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (;;) {
    std::vector<VolumeView> all = co_await state_->views();
    const auto quiet = co_await state_->quiet_for();
    const bool done = std::all_of(all.begin(), all.end(), [&](const VolumeView& view) {
      const auto by = state_->detached_by_order.contains(view.record.volume) ? DetachedBy::order : DetachedBy::nobody;
      return view.record.owner != state_->node.node || is_settled(view.condition, by, quiet, grace);
    });
    if (done || std::chrono::steady_clock::now() >= end) {
      std::erase_if(all, [](const VolumeView& view) { return view.condition == Condition::attached; });
      co_return Settlement{done, std::move(all)};
    }
    pause.expires_after(std::chrono::milliseconds(250));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

std::map<std::pair<Condition, Generation>, std::size_t> VolumeService::counts() const { return state_->counts; }

Work VolumeService::work() const {
  Work work = state_->tally;
  work.key_batches = state_->unlocking.batches();
  return work;
}

}  // namespace volcrypt::volumes
