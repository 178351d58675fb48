// What GET /metrics of a Daemon says, as Prometheus reads it: one number per series. Tests only.
#pragma once

#include <map>
#include <sstream>
#include <string>

#include "tests/support/daemon.hpp"

namespace volcrypt::test {

class Scraped {
 public:
  explicit Scraped(const Daemon& daemon) : text_(daemon.metrics()) {
    std::istringstream lines(text_);
    for (std::string line; std::getline(lines, line);) {
      const auto blank = line.rfind(' ');
      if (!line.empty() && line[0] != '#' && blank != std::string::npos)
        series_[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
    }
  }

  bool has(const std::string& series) const { return series_.contains(series); }
  double at(const std::string& series) const { return has(series) ? series_.at(series) : 0; }  // 0 as PromQL's `or 0`
  const std::string& text() const { return text_; }

  double volumes(const std::string& state, int generation) const {
    return at("volcrypt_volumes{generation=\"" + std::to_string(generation) + "\",state=\"" + state + "\"}");
  }
  double unwraps() const { return at("volcrypt_dek_unwraps_total"); }
  double rewraps() const { return at("volcrypt_dek_rewraps_total"); }
  double generation() const { return at("volcrypt_current_kek_generation"); }
  double errors(const std::string& kind) const { return at("volcrypt_errors_total{kind=\"" + kind + "\"}"); }
  double tpm_commands(const std::string& command) const {
    return at("volcrypt_tpm_command_seconds_count{command=\"" + command + "\"}");
  }
  double tpm_seconds(const std::string& command) const {
    return at("volcrypt_tpm_command_seconds_sum{command=\"" + command + "\"}");
  }
  // The one rotation state that is 1; "none" or "several" when it is not exactly one.
  std::string rotation() const {
    std::string found = "none";
    for (const char* state : {"NoRotation", "DistributingKEK", "EncryptingDEKs"})
      if (at("volcrypt_rotation_state{state=\"" + std::string(state) + "\"}") == 1)
        found = found == "none" ? state : "several";
    return found;
  }

 private:
  std::string text_;
  std::map<std::string, double> series_;
};

}  // namespace volcrypt::test
