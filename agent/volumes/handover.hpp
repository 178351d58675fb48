// Handover: what keeps a volume from being attached by two nodes while one asks the other for it. A node that said
// "gone" does not attach the volume for a while, unless by order; a node that is attaching it does not say "gone".
// Loop thread only.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "dmtarget/uuid.hpp"

namespace volcrypt::volumes {

class Handover {
  using Volumes = std::multiset<Uuid>;

 public:
  // Of a volume that is being attached; may outlive the Handover.
  class [[nodiscard]] Attaching {
   public:
    Attaching(std::shared_ptr<Volumes> all, const Uuid& volume) : all_(std::move(all)), volume_(volume) {
      all_->insert(volume_);
    }
    Attaching(Attaching&& other) noexcept = default;
    Attaching& operator=(Attaching&&) = delete;
    ~Attaching() {
      if (all_) all_->erase(all_->find(volume_));
    }

   private:
    std::shared_ptr<Volumes> all_;
    Uuid volume_;
  };

  Attaching attaching(const Uuid& volume) const { return {attaching_, volume}; }
  bool is_attaching(const Uuid& volume) const { return attaching_->contains(volume); }

  void said_gone(const Uuid& volume, std::chrono::milliseconds lasting) {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(promised_, [&](const auto& promise) { return promise.second < now; });
    promised_[volume] = now + lasting;
  }
  bool is_promised(const Uuid& volume) const {
    const auto promise = promised_.find(volume);
    return promise != promised_.end() && std::chrono::steady_clock::now() < promise->second;
  }
  // It was taken over: by whom it was promised to, or from whom it is now.
  void promise_ends(const Uuid& volume) { promised_.erase(volume); }

 private:
  const std::shared_ptr<Volumes> attaching_ = std::make_shared<Volumes>();
  std::map<Uuid, std::chrono::steady_clock::time_point> promised_;
};

}  // namespace volcrypt::volumes
