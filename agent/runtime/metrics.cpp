// Metrics over prometheus-cpp's core library; the only file that includes it. Its families lock for themselves; the
// mutex here keeps tables that are replaced as a whole from being read half-made.
#include "agent/runtime/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <vector>

namespace volcrypt::runtime {

namespace {

// Seconds. A firmware TPM answers in 1 to 10 ms, a discrete one in 30 to 150; key generation takes seconds.
const prometheus::Histogram::BucketBoundaries tpm_buckets{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30};

}  // namespace

struct Metrics::State {
  mutable std::mutex lock;
  prometheus::Registry registry;
  prometheus::Family<prometheus::Gauge>& volumes = prometheus::BuildGauge()
                                                       .Name("volcrypt_volumes")
                                                       .Help("Volumes of this node by state and KEK generation")
                                                       .Register(registry);
  std::vector<prometheus::Gauge*> volume_gauges;
  prometheus::Counter& unwraps = prometheus::BuildCounter()
                                     .Name("volcrypt_dek_unwraps_total")
                                     .Help("Data encryption keys unwrapped")
                                     .Register(registry)
                                     .Add({});
  prometheus::Counter& rewraps = prometheus::BuildCounter()
                                     .Name("volcrypt_dek_rewraps_total")
                                     .Help("Data encryption keys wrapped under a newer KEK generation")
                                     .Register(registry)
                                     .Add({});
  prometheus::Family<prometheus::Histogram>& tpm =
      prometheus::BuildHistogram()
          .Name("volcrypt_tpm_command_seconds")
          .Help("Time from a TPM command to its answer, the resource manager included")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& rotation = prometheus::BuildGauge()
                                                        .Name("volcrypt_rotation_state")
                                                        .Help("1 for the rotation state that holds, 0 for the others")
                                                        .Register(registry);
  std::map<std::string, prometheus::Gauge*, std::less<>> phases;
  prometheus::Gauge& generation = prometheus::BuildGauge()
                                      .Name("volcrypt_current_kek_generation")
                                      .Help("KEK generation that wraps new keys, 0 while encryption is not enabled")
                                      .Register(registry)
                                      .Add({});
  prometheus::Family<prometheus::Counter>& errors = prometheus::BuildCounter()
                                                        .Name("volcrypt_errors_total")
                                                        .Help("Failed requests and background tasks by cause")
                                                        .Register(registry);
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  for (const auto* phase : {"NoRotation", "DistributingKEK", "EncryptingDEKs"}) {
    state_->phases.emplace(phase, &state_->rotation.Add({{"state", phase}}));
  }
  set_rotation("NoRotation");
}

Metrics::~Metrics() = default;

void Metrics::set_volumes(const std::map<std::pair<std::string, std::uint64_t>, std::size_t>& counts) {
  const std::lock_guard guard(state_->lock);
  for (auto* gauge : state_->volume_gauges) state_->volumes.Remove(gauge);
  state_->volume_gauges.clear();
  for (const auto& [key, count] : counts) {
    auto& gauge = state_->volumes.Add({{"state", key.first}, {"generation", std::to_string(key.second)}});
    gauge.Set(static_cast<double>(count));
    state_->volume_gauges.push_back(&gauge);
  }
}

void Metrics::add_unwraps(std::size_t deks) { state_->unwraps.Increment(static_cast<double>(deks)); }

void Metrics::add_rewraps(std::size_t deks) { state_->rewraps.Increment(static_cast<double>(deks)); }

void Metrics::observe_tpm(std::string_view command, std::chrono::duration<double> took) {
  // Add() returns the one that is there already for the same labels.
  state_->tpm.Add({{"command", std::string(command)}}, tpm_buckets).Observe(took.count());
}

void Metrics::set_rotation(std::string_view phase) {
  const std::lock_guard guard(state_->lock);
  for (auto& [name, gauge] : state_->phases) gauge->Set(name == phase ? 1 : 0);
}

void Metrics::set_current_generation(std::uint64_t generation) {
  state_->generation.Set(static_cast<double>(generation));
}

void Metrics::add_error(std::string_view kind) { state_->errors.Add({{"kind", std::string(kind)}}).Increment(); }

std::string Metrics::text() const {
  const std::lock_guard guard(state_->lock);
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace volcrypt::runtime
