// Verbs on volumes: list, create, delete, attach, detach, header backup and restore, settle.
#include <unistd.h>

#include <iostream>

#include "agent/cli/elapsed_line.hpp"
#include "agent/cli/file.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/http/json_body.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::cli {

namespace {

const json::array& volumes_in(const json::value& value, const char* member) {
  static const json::array none;
  const auto* found = find(value, {member});
  return found && found->is_array() ? found->get_array() : none;
}

std::string size_of(const json::value& volume) {
  const auto* bytes = find(volume, {"bytes"});
  boost::system::error_code failed;
  const auto number = bytes ? bytes->to_number<std::uint64_t>(failed) : 0;
  return failed || number == 0 ? "-" : human_size(number);
}

std::string failure_of(const json::value& volume) {
  const auto* failure = find(volume, {"failure"});
  if (!failure || failure->is_null()) return "";
  return text_at(*failure, {"message"});
}

std::string table_of(const json::array& volumes) {
  Table table({{"NAME"}, {"STATE"}, {"KEK", Align::right}, {"SIZE", Align::right}, {"DEVICE"}, {"MAPPING"}, {"OWNER"}});
  std::string failures;
  for (const auto& volume : volumes) {
    table.add({text_at(volume, {"name"}), text_at(volume, {"state"}), text_at(volume, {"kekGeneration"}),
               size_of(volume), text_at(volume, {"device"}), text_at(volume, {"mapping"}),
               text_at(volume, {"ownerName"})});
    if (const auto failure = failure_of(volume); !failure.empty()) {
      failures += printable(text_at(volume, {"name"}) + ": " + failure) + "\n";
    }
  }
  return table.text() + (failures.empty() ? "" : "\n" + failures);
}

std::string details_of(const json::value& volume) {
  Listing listing;
  listing.add("Name", text_at(volume, {"name"}));
  listing.add("Id", text_at(volume, {"id"}));
  listing.add("State", text_at(volume, {"state"}));
  if (const auto failure = failure_of(volume); !failure.empty()) listing.add("Failure", failure);
  listing.add("Device", text_at(volume, {"device"}));
  listing.add("Last seen on", text_at(volume, {"lastDevice"}));
  listing.add("Mapping", text_at(volume, {"mapping"}));
  listing.add("Size", size_of(volume));
  listing.add("KEK generation", text_at(volume, {"kekGeneration"}));
  listing.add("Owner", text_at(volume, {"ownerName"}) + " (" + text_at(volume, {"owner"}) + ")");
  listing.add("Group", text_at(volume, {"group"}));
  if (const auto* description = find(volume, {"description"}); description && description->is_object()) {
    listing.add("Cipher", text_at(*description, {"cipher"}) + ", " + text_at(*description, {"keyBytes"}) + " byte key");
    listing.add("Sectors", text_at(*description, {"sectorSize"}) + " bytes, data at byte " +
                               text_at(*description, {"dataOffset"}));
    listing.add("Discards", text_at(*description, {"discards"}) == "passedDown" ? "passed down" : "refused");
  }
  return listing.text();
}

// "Volume data1 is attached as /dev/mapper/data1." or that it was so already.
std::string told(const json::value& outcome, const std::string& done) {
  const std::string name = text_at(outcome, {"volume", "name"});
  const bool changed = text_at(outcome, {"changed"}) == "yes";
  return "Volume " + name + (changed ? " is " : " was already ") + done + (changed ? ".\n" : "; nothing changed.\n");
}

std::string path_of(const std::string& name) { return "/v1/volumes/" + http::escape(name); }

// `verb` as in "erase volume data1"; `loss` says what is lost, as a sentence.
void confirm(const std::string& verb, const std::string& name, const std::string& loss) {
  const std::string deed = verb + " volume " + name;
  if (::isatty(STDIN_FILENO) != 1) {
    throw Failure(ExitStatus::usage,
                  "cannot ask whether to " + deed + ": standard input is no terminal. Say --yes if you are sure.");
  }
  std::cerr << loss << "\nType the volume's name to go on: ";
  std::string typed;
  std::getline(std::cin, typed);
  if (typed != name)
    throw Failure(ExitStatus::usage, "cannot " + deed + ": another name was typed. Nothing was changed.");
}

}  // namespace

ExitStatus get_volumes(Session& session) {
  const auto answer = session.agent.get("/v1/volumes", long_deadline);
  const auto& volumes = volumes_in(answer, "volumes");
  if (session.format == Format::names) {
    std::string names;
    for (const auto& volume : volumes) names += text_at(volume, {"name"}) + "\n";
    print(names);
  } else {
    session.show(answer, table_of(volumes));
  }
  return ExitStatus::done;
}

ExitStatus get_volume(Session& session, const std::string& name) {
  const auto volume = session.agent.get(path_of(name), long_deadline);
  session.show(volume, details_of(volume));
  return ExitStatus::done;
}

ExitStatus create_volume(Session& session, const CreateOptions& options) {
  const json::object body{{"name", options.name},
                          {"device", device_path(options.device)},
                          {"eraseExistingData", options.erase_existing_data},
                          {"allowDiscards", options.allow_discards}};
  json::value outcome;
  {
    const ElapsedLine line(session, "creating volume " + options.name);
    outcome = session.agent.post("/v1/volumes", body);
  }
  session.show(outcome, told(outcome, "created and attached as " + text_at(outcome, {"volume", "mapping"})));
  return ExitStatus::done;
}

// The id of the volume that has the name now. Empty when none has it.
std::optional<std::string> id_of(Session& session, const std::string& name) {
  try {
    return text_at(session.agent.get(path_of(name), long_deadline), {"id"});
  } catch (const Failure& failure) {
    if (failure.status() != ExitStatus::not_found) throw;
    return std::nullopt;
  }
}

ExitStatus delete_volume(Session& session, const std::string& name, Confirmation confirmation) {
  const auto id = id_of(session, name);
  if (id && confirmation == Confirmation::ask)
    confirm("erase", name, "This erases volume " + name + ": its data cannot be brought back by anybody.");
  // With the id, so that only what was asked about is erased; with none, nothing that got the name just now.
  json::value answer;
  {
    const ElapsedLine line(session, "erasing volume " + name);
    answer = session.agent.del(path_of(name) + "?id=" + id.value_or(Uuid().str()), erasing_deadline);
  }
  session.show(answer, text_at(answer, {"changed"}) == "no"
                           ? "Volume " + name + " was erased already; nothing changed.\n"
                           : "Volume " + name + " is erased.\n");
  return ExitStatus::done;
}

ExitStatus forget_volume(Session& session, const std::string& name, Confirmation confirmation) {
  if (confirmation == Confirmation::ask)
    confirm("forget", name,
            "This gives up volume " + name +
                ", for a drive that is gone for good: its entry in the catalogue and the backups of its header are "
                "lost.\nThe drive itself is not erased. Once the KEK generation that it was under is retired, no node "
                "opens it any more.");
  const auto answer = session.agent.post(path_of(name) + "/forget", json::object{});
  session.show(answer, text_at(answer, {"changed"}) == "no"
                           ? "Volume " + name + " was forgotten or erased already; nothing changed.\n"
                           : "Volume " + name + " is forgotten. If its drive returns in time: `volcryptctl attach " +
                                 name + " --device DEVICE`.\n");
  return ExitStatus::done;
}

ExitStatus attach(Session& session, const AttachOptions& options) {
  json::object body;
  if (!options.device.empty()) body.emplace("device", device_path(options.device));
  if (options.take_over) body.emplace("takeOver", true);
  const auto outcome =
      session.agent.post(options.name.empty() ? "/v1/devices/attach" : path_of(options.name) + "/attach", body);
  session.show(outcome, told(outcome, "attached as " + text_at(outcome, {"volume", "mapping"})));
  return ExitStatus::done;
}

ExitStatus detach(Session& session, const std::string& name) {
  const auto outcome = session.agent.post(path_of(name) + "/detach", json::object{});
  session.show(outcome, told(outcome, "detached"));
  return ExitStatus::done;
}

ExitStatus header_backup(Session& session, const std::string& name, const std::string& output) {
  const auto answer = session.agent.get(path_of(name) + "/header", long_deadline);
  const Bytes backup = http::JsonObject(answer, "the agent's answer").base64("backup");
  write_new_file(output, backup);
  session.show(
      json::object{{"name", name}, {"file", output}, {"bytes", backup.size()}},
      "Header of volume " + name + " is in " + output + " (" + human_size(backup.size()) + ", no key in clear).\n");
  return ExitStatus::done;
}

ExitStatus header_restore(Session& session, const std::string& name, const std::string& device,
                          const std::optional<std::string>& input) {
  json::object body{{"device", device_path(device)}};
  if (input) body.emplace("backup", to_base64(read_whole_file(*input, header_file_limit)));
  const auto outcome = session.agent.put(path_of(name) + "/header", body);
  session.show(outcome, text_at(outcome, {"changed"}) == "no"
                            ? "The header of volume " + name + " on " + device + " is in order; nothing changed.\n"
                            : "Header of volume " + name + " is restored on " + device +
                                  "; attach it with `volcryptctl attach " + name + "`.\n");
  return ExitStatus::done;
}

ExitStatus settle(Session& session, unsigned timeout) {
  json::value answer;
  {
    const ElapsedLine line(session, "waiting for the volumes of this node");
    answer = session.agent.get("/v1/settled?timeout=" + std::to_string(timeout), std::chrono::seconds(timeout + 30));
  }
  std::string text;
  for (const auto& volume : volumes_in(answer, "missing")) {
    const auto failure = failure_of(volume);
    text += printable("volume " + text_at(volume, {"name"}) + " is " + text_at(volume, {"state"}) +
                      (failure.empty() ? "" : ": " + failure)) +
            "\n";
  }
  const bool settled = text_at(answer, {"settled"}) == "yes";
  if (text.empty()) text = "All volumes are attached.\n";
  session.show(answer, text);
  if (!settled) session.note("volcryptctl: the volumes did not settle within " + std::to_string(timeout) + " seconds.");
  return settled ? ExitStatus::done : ExitStatus::timed_out;
}

}  // namespace volcrypt::cli
