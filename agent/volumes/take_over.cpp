// Take-over: a drive is here, and the volume's owner of record is another node. It is asked; the catalogue's record
// changes hands by compare-and-set, behind the proof of the header and before the drive is mapped. And the other end:
// what this node answers when it is asked.
#include <algorithm>

#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"
#include "agent/volumes/traces.hpp"

namespace volcrypt::volumes {

namespace {

using std::chrono::steady_clock;

std::string_view words(OwnerWord word) {
  switch (word) {
    case OwnerWord::gone:
      return "its owner says that it is gone there";
    case OwnerWord::silent:
      return "by order, its owner did not answer";
    default:
      return "by order, its owner is no member any more";
  }
}

// The lock of the question whether we hold it.
std::string asked_for(const Uuid& volume) { return " asked " + volume.str(); }

// The place where the catalogue saw it last may show it where udev's label does not: a header that is being written, or
// half erased. A drive that is there and cannot be read is not rounded to "gone".
asio::awaitable<bool> is_in(VolumeService::State& state, Uuid volume, std::string place) {
  const auto do_drives = [](Devices& d) { return d.drives(); };
  const std::vector<DriveFacts> drives =
      co_await state.on_device("udev", "ask udev for drives", VolumeService::State::look_deadline, do_drives);
  try {
    const HeaderArea area = co_await state.header_area(place);
    const Trace trace = trace_of(volume, area.content);
    co_return trace == Trace::header || trace == Trace::named;
  } catch (const Error&) {
    if (std::ranges::any_of(drives, [&](const DriveFacts& facts) { return facts.device == place; })) throw;
    co_return false;
  }
}

}  // namespace

asio::awaitable<Judged> VolumeService::State::judge_now(Sighting drive, AttachWish wish) {
  Judged judged;
  judged.known = co_await catalogue.look();
  const Snapshot& known = judged.known;
  AttachQuestion& question = judged.question;
  question.cluster = node.cluster;
  question.node = node.node;
  question.mappings = co_await mappings();
  std::vector<Candidate> candidates = co_await scan();
  std::erase_if(candidates, [&](const Candidate& other) {
    return other.number == drive.number || other.volume != drive.token.volume;
  });
  question.copies = co_await sight(std::move(candidates));
  if (const auto* record = known.of(drive.token.volume)) question.record = *record;
  if (const auto* namesake = known.named(drive.token.name);
      namesake != nullptr && namesake->volume != drive.token.volume)
    question.namesake = *namesake;
  for (const Intent& intent : known.intents)
    if (intent.verb == Intention::create && intent.record.volume == drive.token.volume)
      question.half_made = intent.record;
  question.erased = known.erased.contains(drive.token.volume);
  question.forgotten = known.forgotten.contains(drive.token.volume);
  const bool is_elsewhere = known.freshness != Freshness::last_known && owner_of(question) != node.node;
  if (is_elsewhere) handover.promise_ends(drive.token.volume);
  question.promised = handover.is_promised(drive.token.volume);
  if (drive.token.cluster == node.cluster) question.held = co_await held();
  question.order = wish.order;
  question.take_over = wish.take_over;
  question.drive = std::move(drive);
  judged.decision = decide_attach(question);
  co_return judged;
}

asio::awaitable<Judged> VolumeService::State::judge(Sighting drive, AttachWish wish) {
  const auto asked = steady_clock::now();
  Judged judged = co_await judge_now(drive, wish);
  if (judged.decision.verdict != Verdict::ask_owner) co_return judged;
  MembersNow members;
  judged.question.owner = co_await word_of_owner(judged, members);
  judged.decision = decide_attach(judged.question);
  if (judged.decision.verdict != Verdict::take_over) co_return judged;
  co_await take_over(judged, members.revision, asked + node.given_away / 2);
  // Everything anew: asking took its time. Somebody who took it over at once stays its owner.
  judged = co_await judge_now(std::move(drive), wish);
  if (judged.decision.verdict == Verdict::ask_owner)
    throw Error(errc::conflict, {"attach", judged.question.drive.token.name, "Another node has taken it over."});
  co_return judged;
}

asio::awaitable<AttachQuestion::Owner> VolumeService::State::word_of_owner(const Judged& judged, MembersNow& members) {
  const Uuid owner = owner_of(judged.question);
  const Uuid volume = judged.question.drive.token.volume;
  AttachQuestion::Owner known{others == nullptr ? "" : others->name_of(owner), OwnerWord::unknown, ""};
  if (known.name.empty()) known.name = owner.str();
  if (others == nullptr) {
    known.cause = "This node reaches no other.";
    co_return known;
  }
  if (judged.known.freshness == Freshness::last_known) {
    known.cause = "The cluster's store does not answer.";
    co_return known;
  }
  try {
    members = co_await others->members();
  } catch (const Error& error) {
    known.cause = error.what();
    co_return known;
  }
  const auto member = members.names.find(owner);
  known.word = member == members.names.end() ? OwnerWord::no_member : OwnerWord::unasked;
  if (known.word == OwnerWord::no_member) co_return known;
  known.name = member->second;
  // One question at a time to each node, however many drives came from it. A silence that began after this question
  // did is its answer, too: or a hundred drives of a dead node would wait one after another.
  const auto asked = steady_clock::now();
  const Locks::Held turn = co_await locks.lock(" ask " + owner.str());
  const auto silence = silences.find(owner);
  if (silence != silences.end() && silence->second.began > asked) {
    known.word = OwnerWord::silent;
    known.cause = silence->second.cause;
    co_return known;
  }
  try {
    const Holding holding = co_await others->ask(owner, volume);
    known.word = holding == Holding::gone     ? OwnerWord::gone
                 : holding == Holding::mapped ? OwnerWord::mapped
                                              : OwnerWord::visible;
  } catch (const Error& error) {
    known.word = OwnerWord::silent;
    known.cause = error.what();
    if (error.code() != errc::peer_refused) silences[owner] = {steady_clock::now(), known.cause};
  }
  co_return known;
}

// `until`: the owner's word holds as long; it does not attach the drive itself meanwhile.
asio::awaitable<void> VolumeService::State::take_over(const Judged& judged, cluster::Revision members,
                                                      steady_clock::time_point until) {
  const AttachQuestion& question = judged.question;
  const cluster::VolumeRecord record = question.record ? *question.record : *question.half_made;
  (void)co_await unlock(question.drive.token);  // a forged drive takes nothing away from anybody
  if (question.owner.word == OwnerWord::gone && steady_clock::now() > until)
    throw Error(errc::timed_out, {"take over volume", record.name, "Its key took too long: try again."});
  co_await catalogue.taken_over(record, node.node, members);
  handover.promise_ends(record.volume);
  runtime::log(runtime::Severity::notice, "a volume was taken over from another node",
               {{"volume", record.name},
                {"uuid", record.volume.str()},
                {"device", question.drive.device},
                {"from", question.owner.name},
                {"because", std::string(words(question.owner.word))}});
}

// Whoever works on the volume here has its drive in sight; its lock is not waited for, because two nodes that asked
// each other would wait for ever.
asio::awaitable<Holding> VolumeService::holds(Uuid volume) {
  State& state = *state_;
  const Locks::Held turn = co_await state.locks.lock(asked_for(volume));
  if (state.handover.is_attaching(volume)) co_return Holding::visible;
  const Snapshot known = co_await state.catalogue.look();
  std::set<std::string> places;
  if (const auto* record = known.of(volume)) places.insert(record->device_hint);
  for (const Intent& intent : known.intents)
    if (intent.record.volume == volume) places.insert(intent.record.device_hint);
  places.erase("");
  const std::vector<dm::Mapping> live = co_await state.mappings();
  if (mapping_of(live, volume) != nullptr) co_return Holding::mapped;
  const std::vector<Candidate> candidates = co_await state.scan();
  for (const Candidate& candidate : candidates)
    if (candidate.volume == volume) co_return Holding::visible;
  for (const std::string& place : places)
    if (co_await is_in(state, volume, place)) co_return Holding::visible;
  if (state.handover.is_attaching(volume)) co_return Holding::visible;  // it came while we looked
  state.handover.said_gone(volume, state.node.given_away);
  co_return Holding::gone;
}

// A question that is being answered is waited for; those that come later see that we are attaching it.
asio::awaitable<Handover::Attaching> VolumeService::State::begin_attach(Uuid volume) {
  Handover::Attaching mark = handover.attaching(volume);
  const Locks::Held turn = co_await locks.lock(asked_for(volume));
  co_return mark;
}

}  // namespace volcrypt::volumes
