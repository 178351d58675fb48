// QMP: greeting, capabilities, then commands; events may come between a command and its answer.
#include "tests/support/vm_monitor.hpp"

#include <boost/json/serialize.hpp>
#include <string>

namespace json = boost::json;

namespace volcrypt::test {

using namespace std::chrono_literals;

Monitor::Monitor(const std::filesystem::path& socket, Deadline deadline) : channel_(socket, deadline) {
  channel_.receive(deadline);  // the greeting
  execute("qmp_capabilities");
}

json::value Monitor::execute(std::string_view command, json::object arguments) {
  channel_.send({{"execute", command}, {"arguments", std::move(arguments)}});
  const auto deadline = after(60s);
  for (;;) {
    json::object answer = channel_.receive(deadline);
    if (answer.contains("event")) {
      events_.push_back(std::move(answer));
    } else if (const auto* refused = answer.if_contains("error")) {
      throw std::runtime_error("QMP " + std::string(command) + ": " + json::serialize(*refused));
    } else {
      return answer.at("return");
    }
  }
}

void Monitor::wait_until_deleted(std::string_view device, Deadline deadline) {
  const auto is_it = [&](const json::object& event) {
    if (event.at("event") != "DEVICE_DELETED") return false;
    const auto* name = event.at("data").as_object().if_contains("device");
    return name != nullptr && name->as_string() == device;
  };
  for (;;) {
    for (auto event = events_.begin(); event != events_.end(); ++event) {
      if (!is_it(*event)) continue;
      events_.erase(event);
      return;
    }
    events_.push_back(channel_.receive(deadline));
  }
}

}  // namespace volcrypt::test
