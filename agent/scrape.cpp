// See scrape.hpp.
#include "agent/scrape.hpp"

#include <boost/asio/error.hpp>

#include "agent/control/render.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

asio::awaitable<std::string> Scrape::text() {
  co_await gather_rotation();
  gather_volumes();
  co_return metrics_.text();
}

void Scrape::gather_volumes() {
  std::map<std::pair<std::string, std::uint64_t>, std::size_t> counts;
  for (const auto& [key, count] : volumes_.counts()) counts[{control::to_text(key.first), key.second}] += count;
  metrics_.set_volumes(counts);
  const volumes::Work done = volumes_.work();
  metrics_.add_unwraps(done.unwraps - told_.unwraps);
  metrics_.add_rewraps(done.rewraps - told_.rewraps);
  told_ = done;
}

asio::awaitable<void> Scrape::gather_rotation() {
  try {
    const cluster::EncryptionState state = co_await cluster_.encryption();
    metrics_.set_rotation(cluster::spelling(state.rotation));
    metrics_.set_current_generation(state.current);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    metrics_.add_error(errc_name(error.code()));
  }
}

}  // namespace volcrypt
