// TimedKekStore: a KekStore that tells the metrics how long each call took, failed ones included. On the keyring's
// worker thread, as the store that it wraps.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "agent/keys/kek_store.hpp"
#include "agent/runtime/metrics.hpp"

namespace volcrypt {

class TimedKekStore final : public keys::KekStore {
 public:
  // Shares the metrics: a call that was given up at its deadline may end after everything else.
  TimedKekStore(std::unique_ptr<keys::KekStore> store, std::shared_ptr<runtime::Metrics> metrics)
      : store_(std::move(store)), metrics_(std::move(metrics)) {}

  keys::Protection protection() const override { return store_->protection(); }
  keys::NodeIdentity identity(const keys::IdentityRequest& request) override {
    const Watch watch(*metrics_, "identity");
    return store_->identity(request);
  }
  void adopt(const keys::Approvals& approvals) override {
    const Watch watch(*metrics_, "adopt");
    store_->adopt(approvals);
  }
  keys::KekRecord create(keys::Generation generation) override {
    const Watch watch(*metrics_, "create");
    return store_->create(generation);
  }
  keys::RecoveryBlob duplicate_to_recovery(const keys::KekRecord& record) override {
    const Watch watch(*metrics_, "duplicate");
    return store_->duplicate_to_recovery(record);
  }
  Digest prove(const keys::KekRecord& record, const Digest& nonce) override {
    const Watch watch(*metrics_, "prove");
    return store_->prove(record, nonce);
  }
  std::vector<keys::KekRecord> held() const override { return store_->held(); }  // files alone
  std::vector<keys::Generation> kept() const override { return store_->kept(); }
  std::vector<Secret> group_keys(keys::Generation generation, const std::vector<Uuid>& groups) override {
    const Watch watch(*metrics_, "group keys");
    return store_->group_keys(generation, groups);
  }
  std::vector<Secret> proved_group_keys(const keys::KekRecord& record, const std::vector<Uuid>& groups) override {
    const Watch watch(*metrics_, "group keys");
    return store_->proved_group_keys(record, groups);
  }
  void destroy(keys::Generation generation) override { store_->destroy(generation); }
  keys::BootReport boot_report() override {
    const Watch watch(*metrics_, "boot report");
    return store_->boot_report();
  }
  std::vector<std::string> warnings() override {
    const Watch watch(*metrics_, "warnings");
    return store_->warnings();
  }
  void lock() override { store_->lock(); }

 private:
  class Watch {
   public:
    Watch(runtime::Metrics& metrics, std::string_view operation) : metrics_(metrics), operation_(operation) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { metrics_.observe_tpm(operation_, std::chrono::steady_clock::now() - begun_); }

   private:
    runtime::Metrics& metrics_;
    std::string_view operation_;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  };

  std::unique_ptr<keys::KekStore> store_;
  std::shared_ptr<runtime::Metrics> metrics_;
};

}  // namespace volcrypt
