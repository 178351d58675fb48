// The guest agent's protocol: guest-sync-delimited, guest-exec, guest-exec-status (QEMU Guest Agent Protocol
// Reference).
#include "tests/support/vm_guest.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <vector>

namespace json = boost::json;

namespace volcrypt::test {
namespace {

using namespace std::chrono_literals;

std::string to_base64(std::string_view text) {
  std::vector<unsigned char> out(4 * ((text.size() + 2) / 3) + 1);
  const int length =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return {out.begin(), out.begin() + length};
}

std::string from_base64(const json::object& status, std::string_view field) {
  const auto* value = status.if_contains(field);
  if (value == nullptr) return {};
  const auto& text = value->as_string();
  if (text.empty()) return {};
  std::vector<unsigned char> out(text.size());
  const int length =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) throw std::runtime_error("the guest agent sent broken base64");
  const auto padding = std::count(text.end() - 2, text.end(), '=');
  return {out.begin(), out.begin() + length - padding};
}

}  // namespace

Guest::Guest(const std::filesystem::path& socket, Deadline deadline) : channel_(socket, deadline) {
  synchronise(deadline);
}

void Guest::synchronise(Deadline deadline) {
  // Until the agent runs nobody reads the port, and answers to earlier tries may still come: each try has a number of
  // its own.
  for (;;) {
    const auto id = next_id_++;
    channel_.send({{"execute", "guest-sync-delimited"}, {"arguments", {{"id", id}}}});
    const auto patience = std::min(deadline, after(500ms));
    try {
      for (;;) {
        const json::object answer = channel_.receive(patience);
        const auto* value = answer.if_contains("return");
        if (value != nullptr && value->is_int64() && value->as_int64() == id) return;
      }
    } catch (const TimedOut&) {
      if (std::chrono::steady_clock::now() > deadline)
        throw TimedOut("the machine did not come up in time: its guest agent is silent");
    }
  }
}

json::value Guest::call(std::string_view name, json::object arguments, Deadline deadline) {
  channel_.send({{"execute", name}, {"arguments", std::move(arguments)}});
  json::object answer = channel_.receive(deadline);
  if (const auto* refused = answer.if_contains("error"))
    throw std::runtime_error("guest agent, " + std::string(name) + ": " + json::serialize(*refused));
  return answer.at("return");
}

Outcome Guest::run(const Command& command) {
  const auto deadline = after(command.deadline);
  json::object arguments{{"path", "/bin/bash"}, {"arg", {"-c", command.line}}, {"capture-output", true}};
  if (!command.input.empty()) arguments["input-data"] = to_base64(command.input);
  try {
    const auto pid = call("guest-exec", std::move(arguments), deadline).at("pid");
    for (auto pause = 20ms;; pause = std::min(pause * 3 / 2, 300ms)) {
      const auto status = call("guest-exec-status", {{"pid", pid}}, deadline).as_object();
      if (status.at("exited").as_bool()) {
        Outcome outcome{0, from_base64(status, "out-data"), from_base64(status, "err-data")};
        if (const auto* code = status.if_contains("exitcode")) outcome.exit_code = code->to_number<int>();
        if (const auto* signal = status.if_contains("signal")) outcome.exit_code = 128 + signal->to_number<int>();
        return outcome;
      }
      if (std::chrono::steady_clock::now() > deadline) throw TimedOut("it still runs");
      ::usleep(static_cast<useconds_t>(std::chrono::microseconds(pause).count()));
    }
  } catch (const TimedOut& timeout) {
    synchronise(after(60s));  // an answer may still be on its way
    throw TimedOut("in the machine, after " + std::to_string(command.deadline.count()) + " s: " + command.line + ": " +
                   timeout.what());
  }
}

void Guest::send_only(std::string_view line) {
  channel_.send({{"execute", "guest-exec"}, {"arguments", {{"path", "/bin/bash"}, {"arg", {"-c", line}}}}});
}

}  // namespace volcrypt::test
