// Task: one request to the kernel's device-mapper, the only user of libdevmapper. Its memory is always wiped (secure
// data), and its destructor waits for udev, on error paths too, so that no cookie is left behind. Mechanism only, see
// mapper.hpp for meaning. Blocking; one Task is used by one thread. Requests are made one at a time, under
// a LibraryTurn, all but suspend: it may wait for I/O of a dying device and must not hold up the others.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct dm_task;

namespace volcrypt::dm {

enum class Verb { list, info, status, table, under, load, clear, suspend, resume, rename, remove };

struct NamedDevice {
  std::string name;
  dev_t device = 0;
};

// What the kernel says of one mapping.
struct KernelState {
  std::string uuid;
  dev_t device = 0;
  std::uint32_t open_count = 0;
  bool suspended = false;
  bool live_table = false;
  bool deferred_removal = false;
};

class Task {
 public:
  Task(Verb verb, const std::string& name);  // the name is empty for Verb::list only
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task();  // waits for udev at most 30 seconds, then closes the cookie itself

  Task& rename_to(const std::string& name);
  Task& when_unused();    // remove: now, or when the last user closes
  Task& without_flush();  // suspend, resume: neither waits for queued I/O nor freezes a file system
  Task& add_target(std::uint64_t sectors, const std::string& type, const std::string& parameters);

  // Throws Error with the kernel's errno; ENODEV when device-mapper itself is not there.
  void run();

  // Answers, after run().
  std::optional<KernelState> state() const;  // info: empty when there is no such mapping
  std::vector<NamedDevice> names() const;    // list
  std::vector<dev_t> devices_under() const;  // under
  std::uint64_t sectors() const;             // status, table: the end of the last target, in units of 512 bytes
  // table: the line of a mapping that is one crypt target with a keyring reference. Throws Error(errc::unknown_outcome)
  // for any other, without copying its parameters.
  std::string crypt_line() const;

 private:
  struct Destroy {
    void operator()(dm_task* task) const noexcept;
  };
  [[noreturn]] void fail(int number) const;
  void require(int outcome) const;

  Verb verb_;
  std::string name_;
  std::unique_ptr<dm_task, Destroy> task_;
  std::uint32_t cookie_ = 0;
};

}  // namespace volcrypt::dm
