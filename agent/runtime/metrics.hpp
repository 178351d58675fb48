// The agent's numbers for Prometheus. Owned by the agent, told by the services, read by GET /metrics. Labels are
// bounded: states, causes (errc_name) and generations in use only; never a volume's name. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace volcrypt::runtime {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Replaces the whole table: a state or generation without volumes disappears. Key: condition ("attached") and
  // generation.
  void set_volumes(const std::map<std::pair<std::string, std::uint64_t>, std::size_t>& counts);
  void add_unwraps(std::size_t deks);
  void add_rewraps(std::size_t deks);
  // One TPM command; `command` is one of a fixed set ("TPM2_Load", ...).
  void observe_tpm(std::string_view command, std::chrono::duration<double> took);
  void set_rotation(std::string_view phase);  // "NoRotation", ...; exactly one phase is 1
  void set_current_generation(std::uint64_t generation);
  void add_error(std::string_view kind);  // errc_name of a request or background task that failed

  std::string text() const;  // Prometheus text format 0.0.4

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::runtime
