// Hanging: which drives (and mappings, and udev) are held by a call that overran its deadline and has not ended. No
// second call is made on such an object: every call would cost a thread for as long as the drive hangs, which may be
// for ever. Loop thread, but for Mark.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

namespace volcrypt::volumes {

class Hanging {
 public:
  // Goes into the call, and ends with it on whatever thread that is.
  class Mark {
   public:
    Mark() : ended_(std::make_shared<std::atomic<bool>>(false)) {}
    Mark(Mark&&) = default;
    Mark& operator=(Mark&&) = delete;
    ~Mark();

   private:
    friend class Hanging;
    std::shared_ptr<std::atomic<bool>> ended_;  // empty when moved from
  };
  using Ended = std::shared_ptr<const std::atomic<bool>>;
  static Ended end_of(const Mark& mark) { return mark.ended_; }

  // Throws Error(errc::timed_out), always in the same words, while the call that was noted for `object` hangs.
  void check(const std::string& object, const std::string& operation);
  // `operation` on `object` was given up; whether it ended meanwhile, `ended` says.
  void note(const std::string& object, const std::string& operation, Ended ended);
  // The drive is gone; what comes under its name now is another one.
  void forget(const std::string& object) { calls_.erase(object); }

 private:
  struct Call {
    std::string operation;
    Ended ended;
  };
  std::map<std::string, Call> calls_;  // by object
};

}  // namespace volcrypt::volumes
