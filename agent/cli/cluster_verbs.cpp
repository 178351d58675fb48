// Verbs on the cluster: feature flag, enabling, status, rotation.
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "agent/cli/elapsed_line.hpp"
#include "agent/cli/forecast.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"

namespace volcrypt::cli {

namespace {

std::string lines_of(const json::value& value, std::initializer_list<const char*> path) {
  const auto* found = find(value, path);
  std::string lines;
  if (!found || !found->is_array()) return lines;
  for (const auto& line : found->get_array()) lines += (lines.empty() ? "" : "\n") + text_at(line, {});
  return lines;
}

std::uint64_t number_at(const json::value& value, std::initializer_list<const char*> path) {
  const auto* found = find(value, path);
  boost::system::error_code failed;
  const auto number = found ? found->to_number<std::uint64_t>(failed) : 0;
  return failed ? 0 : number;
}

std::string pcr_policy(const json::value& info) {
  const std::string pcrs = text_at(info, {"bootState", "pcrs"});
  if (text_at(info, {"encryptionState", "keyProtection"}) == "software") return "none (software protection)";
  if (pcrs == "-") return "no PCRs bound";
  return "PCR " + pcrs +
         (text_at(info, {"bootState", "approvedNow"}) == "yes" ? ", this boot is approved"
                                                               : ", this boot is NOT approved");
}

std::string recovery_key(const json::value& info) {
  const std::string at = text_at(info, {"recovery", "verifiedAt"});
  if (text_at(info, {"recovery", "verified"}) == "yes") return "verified at " + at;
  if (at == "-") return "never verified";
  const std::string since = text_at(info, {"recovery", "unverifiedSinceGeneration"});
  return since == "-" ? "not known whether verified" : "not verified since KEK generation " + since;
}

std::string describe(const json::value& info) {
  Listing listing;
  const auto* cluster = find(info, {"cluster"});
  if (!cluster || cluster->is_null()) {
    listing.add("Cluster", "none yet; make one by `volcryptctl cluster init`");
  } else {
    listing.add("Cluster", text_at(info, {"cluster", "name"}));
    listing.add("Cluster id", text_at(info, {"cluster", "id"}));
    listing.add("Membership", "version " + text_at(info, {"cluster", "membershipVersion"}) + ", trust epoch " +
                                  text_at(info, {"cluster", "trustEpoch"}));
  }
  listing.add("Encryption state", text_at(info, {"encryptionState", "state"}));
  listing.add("Feature flag", text_at(info, {"encryptionState", "featureFlag"}) == "yes" ? "on" : "off");
  listing.add("Key protection", text_at(info, {"encryptionState", "keyProtection"}));
  listing.add("Current KEK generation", text_at(info, {"encryptionState", "currentKekGeneration"}));
  listing.add("Previous KEK generations", text_at(info, {"encryptionState", "previousKekGenerations"}));
  listing.add("Rotation state", text_at(info, {"encryptionState", "rotationState"}));
  if (const auto waiting = text_at(info, {"rotation", "waitingFor"}); waiting != "-") {
    listing.add("Rotation waits for", waiting);
  }
  if (const auto failure = text_at(info, {"rotation", "lastFailure"}); failure != "-") {
    listing.add("Last rotation failure", failure);
  }
  listing.add("PCR policy", pcr_policy(info));
  listing.add("Secure Boot", secure_boot_words(info));
  listing.add("Recovery key", recovery_key(info));
  listing.add("Agent version", text_at(info, {"version"}));
  if (const auto warnings = lines_of(info, {"warnings"}); !warnings.empty()) listing.add("Warnings", warnings);
  return listing.text();
}

// One member's part, as "server2 3 of 8 (1 absent)"; empty when it has nothing (left) to do.
std::string part_of(const json::value& member, bool is_distributing) {
  const std::string name = text_at(member, {"name"});
  if (is_distributing) return text_at(member, {"proved"}) == "yes" ? "" : name;
  if (text_at(member, {"rewrapped"}) == "yes") return "";
  const auto absent = number_at(member, {"absent"});
  return name + " " + std::to_string(number_at(member, {"done"})) + " of " +
         std::to_string(number_at(member, {"total"})) + (absent == 0 ? "" : " (" + std::to_string(absent) + " absent)");
}

struct Progress {
  std::uint64_t done = 0, total = 0;
  std::string text;  // decides whether a line of progress says anything new
};

// Members that have their KEK, or volumes that are rewrapped; with more than one member, what each still has to do.
Progress progress_of(const json::value& rotation) {
  Progress progress;
  std::string parts;
  const std::string state = text_at(rotation, {"rotationState"});
  const bool is_distributing = state == "DistributingKEK";
  const auto* members = find(rotation, {"members"});
  const json::array none, &all = members && members->is_array() ? members->get_array() : none;
  for (const auto& member : all) {
    progress.done += is_distributing ? (text_at(member, {"proved"}) == "yes" ? 1 : 0) : number_at(member, {"done"});
    progress.total += is_distributing ? 1 : number_at(member, {"total"});
    const std::string part = part_of(member, is_distributing);
    if (!part.empty()) parts += (parts.empty() ? "" : ", ") + part;
  }
  progress.text = state + ": " + std::to_string(progress.done) + " of " + std::to_string(progress.total) +
                  (is_distributing ? " members have generation " + text_at(rotation, {"distributingKekGeneration"})
                                   : " volumes under generation " + text_at(rotation, {"currentKekGeneration"}));
  if (all.size() > 1 && !parts.empty()) progress.text += "; left: " + parts;
  return progress;
}

class ProgressLine {
 public:
  explicit ProgressLine(const Session& session) : session_(session) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  void draw(const json::value& rotation) {
    const auto [done, total, text] = progress_of(rotation);
    const std::string waiting = text_at(rotation, {"waitingFor"});
    if (waiting != "-" && waiting != waiting_) {
      clear();
      session_.note("volcryptctl: the rotation waits: " + printable(waiting));
    }
    waiting_ = waiting;
    if (session_.watched()) {
      // Cut to the terminal: a line that wraps could not be drawn over.
      const std::string line = progress_bar(done, total, 24) + " " + printable(text);
      std::fprintf(stderr, "\r\033[K%s", line.substr(0, session_.columns() - 1).c_str());
      std::fflush(stderr);
      drawn_ = true;
    } else if (text != said_) {  // into a log: one line for each change, before the result that follows
      said_ = text;
      session_.note(printable(text));
    }
  }

 private:
  void clear() {
    if (std::exchange(drawn_, false)) std::fputs("\r\033[K", stderr);
  }

  const Session& session_;
  bool drawn_ = false;
  std::string said_, waiting_;
};

// What the end of a rotation leaves to be said: failures of single volumes, drives that were away.
std::string leftovers(const json::value& rotation) {
  std::string text;
  if (const auto* members = find(rotation, {"members"}); members && members->is_array()) {
    for (const auto& member : members->get_array()) {
      for (const auto& failure : find(member, {"failures"}) ? find(member, {"failures"})->as_array() : json::array{}) {
        text += "failed: " + text_at(failure, {}) + "\n";
      }
      const auto absent = number_at(member, {"absent"});
      if (absent > 0) {
        text += std::to_string(absent) + " volumes of " + text_at(member, {"name"}) +
                " were absent and keep a previous generation until their drives return\n";
      }
    }
  }
  return text;
}

ExitStatus wait_for_rotation(Session& session, std::uint64_t generation, unsigned timeout) {
  const auto begin = std::chrono::steady_clock::now();
  json::value rotation;
  {
    ProgressLine line(session);
    for (;;) {
      rotation = session.agent.get("/v1/rotation");
      if (text_at(rotation, {"rotationState"}) == "NoRotation") break;
      line.draw(rotation);
      if (timeout > 0 && std::chrono::steady_clock::now() - begin > std::chrono::seconds(timeout)) {
        const std::string obstacle = text_at(rotation, {"waitingFor"});
        throw Failure(ExitStatus::timed_out, "cannot wait longer for the rotation" +
                                                 (obstacle == "-" ? "" : ": " + obstacle) +
                                                 ". It goes on by itself; look with `volcryptctl get clusterinfo`.");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  }
  // A number that was burnt on the way (the agent was restarted) is replaced by a higher one.
  const std::uint64_t current = number_at(rotation, {"currentKekGeneration"});
  if (current < generation) {
    throw Failure(ExitStatus::failed, "cannot rotate to generation " + std::to_string(generation) + ": " +
                                          text_at(rotation, {"lastFailure"}) +
                                          ". The previous generation stays current.");
  }
  const std::string left = leftovers(rotation);
  session.show(rotation, "Generation " + std::to_string(current) + " is current.\n" + left);
  return left.find("failed: ") == std::string::npos ? ExitStatus::done : ExitStatus::failed;
}

}  // namespace

ExitStatus enable_feature_flag(Session& session) {
  const auto answer = session.agent.post("/v1/features/cluster-encryption", json::object{});
  const bool changed = text_at(answer, {"changed"}) == "yes";
  session.show(answer, changed ? "Feature flag cluster-encryption is on.\n"
                               : "Feature flag cluster-encryption was on already; nothing changed.\n");
  return ExitStatus::done;
}

ExitStatus enable_encryption(Session& session, const EnableOptions& options) {
  const json::object body{{"protection", options.protection}};
  if (options.only_check == Checking::no) {
    json::value answer;
    {
      const ElapsedLine line(session, "enabling cluster encryption");
      answer = session.agent.post("/v1/encryption", body);
    }
    const bool changed = text_at(answer, {"changed"}) == "yes";
    session.show(answer, changed ? "Cluster encryption is enabled (" + options.protection + ").\n"
                                 : "Cluster encryption was enabled already; nothing changed.\n");
    return ExitStatus::done;
  }
  const auto answer = session.agent.post("/v1/encryption/check", body);
  Table table({{"NODE"}, {"FINDING"}});
  if (const auto* nodes = find(answer, {"nodes"}); nodes && nodes->is_array()) {
    for (const auto& node : nodes->get_array()) {
      const auto* failures = find(node, {"failures"});
      if (!failures || !failures->is_array() || failures->get_array().empty()) {
        table.add({text_at(node, {"node"}), "ready"});
        continue;
      }
      for (const auto& failure : failures->get_array()) table.add({text_at(node, {"node"}), text_at(failure, {})});
    }
  }
  session.show(answer, table.text());
  return text_at(answer, {"ready"}) == "yes" ? ExitStatus::done : ExitStatus::refused;
}

ExitStatus get_clusterinfo(Session& session) {
  const auto info = session.agent.get("/v1/clusterinfo");
  session.show(info, describe(info));
  return ExitStatus::done;
}

namespace {

ExitStatus abort_rotation(Session& session) {
  const auto answer = session.agent.del("/v1/rotation");
  const bool changed = text_at(answer, {"changed"}) == "yes";
  session.show(answer, changed ? "The rotation was aborted: KEK generation " + text_at(answer, {"burntKekGeneration"}) +
                                     " is destroyed, and its number is not used again. The generation before it stays "
                                     "current.\n"
                               : "No rotation is under way; nothing changed.\n");
  return ExitStatus::done;
}

}  // namespace

ExitStatus rotate(Session& session, const RotateOptions& options) {
  if (options.what == Rotating::abort) return abort_rotation(session);
  const auto answer = session.agent.post("/v1/rotation", json::object{});
  const std::uint64_t generation = number_at(answer, {"generation"});
  if (options.wait == Waiting::yes) return wait_for_rotation(session, generation, options.timeout);
  session.show(answer, "Rotation to generation " + std::to_string(generation) +
                           " has begun; follow it with `volcryptctl get clusterinfo`.\n");
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
