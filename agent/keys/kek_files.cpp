// The files of a KekStore; see kek_files.hpp. "retired" holds the highest number ever destroyed here and, while one is
// being destroyed, that number: a cut in the middle must not let a half-overwritten pair be repaired into a live KEK.
#include "agent/keys/kek_files.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <set>

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kek_prefix = "kek-", copy_suffix = ".copy";

std::string_view text_of(const Secret& document) {
  return {reinterpret_cast<const char*>(document.data()), document.size()};
}

struct Retired {
  Generation highest = 0;
  Generation destroying = 0;  // 0: none
};

Retired read_retired(const KeptFile& file) {
  static const JsonDocument format{"the retired generations", 4096, 2, errc::store_damaged};
  const auto document = file.read();
  if (!document) return {};
  const boost::json::object object = parse_object(text_of(*document), format);
  MemberReader members(object, format);
  if (members.number("version") != 1) {
    throw Error(errc::token_version,
                {"read", file.path().string(), "Use the volcrypt release that wrote it, or a newer one."});
  }
  const Retired retired{members.decimal_string("highest"), members.decimal_string("destroying")};
  members.finish();
  return retired;
}

void write_retired(KeptFile file, const Retired& retired) {
  boost::json::object object;
  object["version"] = 1;
  object["highest"] = std::to_string(retired.highest);
  object["destroying"] = std::to_string(retired.destroying);
  file.write(as_bytes(boost::json::serialize(object)));
}

// "kek-12" and "kek-12.copy" give 12; anything else gives nothing.
std::optional<Generation> generation_of(std::string_view name) {
  if (!name.starts_with(kek_prefix)) return std::nullopt;
  name.remove_prefix(kek_prefix.size());
  if (name.ends_with(copy_suffix)) name.remove_suffix(copy_suffix.size());
  Generation generation = 0;
  const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), generation);
  if (fault != std::errc{} || end != name.data() + name.size() || generation == 0) return std::nullopt;
  return generation;
}

void make_directory(const fs::path& directory) {
  std::error_code failure;
  if (fs::create_directories(directory, failure)) fs::permissions(directory, fs::perms::owner_all, failure);
  if (failure) {
    throw Error(errno_code(failure.value()),
                {"make the directory", directory.string(), "Check its parent and its file system."});
  }
}

}  // namespace

KekFiles::KekFiles(fs::path directory) : directory_(std::move(directory)) {
  make_directory(directory_);
  // Whatever fails in here is told by the call that needs the file; it must not stop the other generations.
  const auto attempt = [](auto step) {
    try {
      step();
    } catch (const Error&) {
    }
  };
  Generation unfinished = 0;
  attempt([&] {
    unfinished = read_retired(file("retired")).destroying;
    if (unfinished != 0) destroy(unfinished);
  });
  std::vector<KeptFile> files{file("retired"), file("approvals"), file("binding")};
  for (const Generation generation : generations()) {
    if (generation != unfinished) files.push_back(kek_file(generation));
  }
  for (KeptFile& kept : files) {
    attempt([&] {
      if (kept.repair()) repaired_.push_back(kept.path().filename().string());
    });
  }
}

KeptFile KekFiles::kek_file(Generation generation) const {
  return file(std::string(kek_prefix) + std::to_string(generation));
}

std::vector<Generation> KekFiles::generations() const {
  std::set<Generation> found;
  std::error_code failure;
  for (auto entry = fs::directory_iterator(directory_, failure); !failure && entry != fs::directory_iterator();
       entry.increment(failure)) {
    if (const auto generation = generation_of(entry->path().filename().string())) found.insert(*generation);
  }
  if (failure) throw Error(errno_code(failure.value()), {"list", directory_.string(), "Look at the kernel's log."});
  return {found.begin(), found.end()};
}

void KekFiles::require_unused(Generation generation) const {
  if (generation == 0) throw Error(errc::invalid_argument, {"use", "KEK generation 0", "Generations start at 1."});
  if (kek_file(generation).exists() || generation <= read_retired(file("retired")).highest) {
    throw Error(errc::already_exists, {"make", "KEK generation " + std::to_string(generation),
                                       "Numbers are never used twice; take a higher one."});
  }
}

bool KekFiles::is_held(const KekRecord& record) const {
  if (const auto kek = find(record.generation); kek && kek->record.name == record.name) return true;
  require_unused(record.generation);
  return false;
}

void KekFiles::add(const StoredKek& kek) {
  require_unused(kek.record.generation);
  KeptFile file = kek_file(kek.record.generation);
  const std::string document = to_json(kek);
  parse_stored_kek(document);  // what could not be read back must not be written
  try {
    file.write(as_bytes(document));
  } catch (const Error&) {
    try {
      file.destroy();  // half of a pair would count as a KEK (nomad#27581)
    } catch (const Error&) {
      // The first failure is the one to report; the number stays used, which the caller handles as a gap.
    }
    throw;
  }
}

std::optional<StoredKek> KekFiles::find(Generation generation) const {
  const KeptFile file = kek_file(generation);
  const auto document = file.read();
  if (!document) return std::nullopt;
  StoredKek kek = parse_stored_kek(text_of(*document));
  if (kek.record.generation != generation) {
    throw Error(errc::store_damaged,
                {"read", file.path().string(), "It holds another generation; it was copied or renamed."});
  }
  return kek;
}

StoredKek KekFiles::get(Generation generation) const {
  auto kek = find(generation);
  if (kek) return *std::move(kek);
  throw Error(errc::wrong_generation,
              {"find", "KEK generation " + std::to_string(generation) + " on this node",
               "It was retired, or this node never had it; see `volcryptctl get clusterinfo`."});
}

std::vector<KekRecord> KekFiles::records() const {
  std::vector<KekRecord> records;
  for (const Generation generation : generations()) {
    try {
      if (auto kek = find(generation)) records.push_back(std::move(kek->record));
    } catch (const Error&) {
      // Damaged: not held. Whoever asks for this very generation is told why.
    }
  }
  return records;
}

void KekFiles::require_trusted(Generation generation) const {
  if (const auto found = distrusted_.find(generation); found != distrusted_.end()) throw Error(found->second);
}

void KekFiles::destroy(Generation generation) {
  distrusted_.erase(generation);
  KeptFile kek = kek_file(generation);
  const Retired before = read_retired(file("retired"));
  if (!kek.exists() && before.destroying != generation) return;
  const Generation highest = std::max(before.highest, generation);
  write_retired(file("retired"), {highest, generation});
  kek.destroy();
  write_retired(file("retired"), {highest, 0});
}

std::optional<Approvals> KekFiles::approvals() const {
  const auto document = file("approvals").read();
  if (!document) return std::nullopt;
  return parse_approvals(text_of(*document));
}

Approvals KekFiles::get_approvals() const {
  auto found = approvals();
  if (found) return *std::move(found);
  throw Error(errc::wrong_state,
              {"use", "the keys of this node", "It belongs to no cluster yet: `volcryptctl cluster init`."});
}

void KekFiles::save(const Approvals& approvals) {
  const auto stored = this->approvals();
  if (stored && approvals.trust_epoch < stored->trust_epoch) {
    throw Error(errc::too_old, {"adopt", "approvals of trust epoch " + std::to_string(approvals.trust_epoch),
                                "This node has seen epoch " + std::to_string(stored->trust_epoch) + "."});
  }
  const std::string document = to_json(approvals);
  parse_approvals(document);
  file("approvals").write(as_bytes(document));
}

std::optional<IdentityRequest> KekFiles::binding() const {
  const auto document = file("binding").read();
  if (!document) return std::nullopt;
  return parse_binding(text_of(*document));
}

bool KekFiles::bind(const IdentityRequest& request) {
  runtime::make_directory_durably(directory_);  // the first of all writes here; a start must not fail for it
  const auto bound = binding();
  if (bound && *bound == request) return false;
  KeptFile approved = file("approvals");
  if (bound && approved.exists()) {
    if (!generations().empty() || read_retired(file("retired")).highest != 0) {
      throw Error(errc::wrong_state, {"bind", "this node's keys to another cluster",
                                      "They belong to cluster " + bound->cluster.str() + "."});
    }
    approved.destroy();  // of a `cluster init` that came to nothing
  }
  file("binding").write(as_bytes(to_json(request)));
  return true;
}

}  // namespace volcrypt::keys
