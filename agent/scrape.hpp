// Scrape: what /metrics tells beside the counters that are kept as things happen: volumes by state and generation, DEKs
// unwrapped and rewrapped, the rotation. Gathered when it is asked for, so that it is never older than the last look at
// the devices. Touches no device: a drive that hangs must not cost the numbers of the others. Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "agent/cluster/cluster_service.hpp"
#include "agent/runtime/metrics.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class Scrape {
 public:
  // All three outlive it.
  Scrape(cluster::ClusterService& cluster, volumes::VolumeService& volumes, runtime::Metrics& metrics)
      : cluster_(cluster), volumes_(volumes), metrics_(metrics) {}

  // Prometheus text format. A store that does not answer is counted as an error; the rotation's numbers stay as they
  // were.
  asio::awaitable<std::string> text();

 private:
  void gather_volumes();
  asio::awaitable<void> gather_rotation();

  cluster::ClusterService& cluster_;
  volumes::VolumeService& volumes_;
  runtime::Metrics& metrics_;
  volumes::Work told_;
};

}  // namespace volcrypt
