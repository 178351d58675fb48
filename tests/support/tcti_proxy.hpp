// A man in the middle between a TPM client and a software TPM: records the traffic as an interposer on the bus sees it,
// and does harm on order: busy answers, short answers, flipped bits, closed connections. A thread of its own behind a
// unix socket; its functions may be called from the test's thread at any time.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dmtarget/bytes.hpp"

namespace volcrypt::test {

enum class Fault {
  none,
  busy,       // TPM_RC_RETRY, the command is not executed
  yielded,    // TPM_RC_YIELDED, the same
  failing,    // TPM_RC_FAILURE, the same: as from a chip in failure mode
  shortened,  // executed; half of the answer, with a size that says so
  cut,        // executed; half of the answer, then the connection ends
  closed,     // executed; the connection ends without an answer
  lost,       // the connection ends, the command never arrives
  flipped,    // executed; one bit of the answer is changed
};

struct Harm {
  Fault fault = Fault::none;
  std::uint32_t command = 0;  // TPM_CC that it waits for; 0: any
  unsigned skip = 0;          // matching commands that pass before
  unsigned times = 1;         // commands that are harmed then
  std::size_t at = 0;         // flipped: byte of the answer, counted modulo its size
};

class TctiProxy {
 public:
  explicit TctiProxy(const std::filesystem::path& upstream);  // swtpm's data socket
  ~TctiProxy();
  TctiProxy(const TctiProxy&) = delete;
  TctiProxy& operator=(const TctiProxy&) = delete;

  std::string tcti() const;

  struct Exchange {
    std::uint32_t command = 0;
    Bytes request, answer;  // as the TPM gave it, before any harm
  };
  std::vector<Exchange> take_traffic();

  void order(const Harm& harm);
  // Runs `deed` on the proxy's thread before the next `times` commands of this code (0: any) reach the TPM; it may
  // speak with the TPM itself. It owns what it touches, or the proxy goes first.
  void before(std::uint32_t command, unsigned times, std::function<void()> deed);
  // How many commands the last order harmed so far.
  unsigned harmed() const;

 private:
  void serve();
  void serve_client(int client);
  Fault fault_for(std::uint32_t command);
  std::function<void()> deed_for(std::uint32_t command);

  std::filesystem::path upstream_, directory_;
  int listener_ = -1;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  Harm harm_;
  unsigned seen_ = 0, harmed_ = 0;
  std::uint32_t deed_command_ = 0;
  unsigned deed_times_ = 0;
  std::function<void()> deed_;
  std::vector<Exchange> traffic_;
  std::thread thread_;
};

inline bool contains(const Bytes& text, ByteView word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end()) != text.end();
}
// In how many commands or answers the word stands.
inline std::size_t appearances(const std::vector<TctiProxy::Exchange>& traffic, ByteView word) {
  return static_cast<std::size_t>(std::count_if(traffic.begin(), traffic.end(), [&](const TctiProxy::Exchange& each) {
    return contains(each.request, word) || contains(each.answer, word);
  }));
}

}  // namespace volcrypt::test
