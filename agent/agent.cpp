// Agent: construction in order of dependence, and the tasks of the loop. See agent.hpp.
#include "agent/agent.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "agent/admission.hpp"
#include "agent/control/access.hpp"
#include "agent/control/api.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "agent/keys/tpm/tpm_kek_store.hpp"
#include "agent/node_services.hpp"
#include "agent/notify.hpp"
#include "agent/peer_port.hpp"
#include "agent/rotation_journal.hpp"
#include "agent/runtime/log.hpp"
#include "agent/runtime/spawn.hpp"
#include "agent/scrape.hpp"
#include "agent/store_home.hpp"
#include "agent/volumes/inventory.hpp"

namespace volcrypt {

namespace {

using keys::Protection;
using runtime::Severity;

// A chip needs 30 to 150 ms for one operation, key generation seconds; a batch has at most as many as a node has
// groups.
constexpr std::chrono::seconds key_deadline{120};
constexpr std::chrono::seconds retry_pause{10};
constexpr std::chrono::seconds longest_retry_pause{60};  // of what has been waiting for long
constexpr std::chrono::seconds joining_pause{1};         // an administrator waits
constexpr std::chrono::seconds proof_pause{60};          // a sealed-out TPM is asked once a minute, not more

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// Not by itself readable by anybody: the service manager makes it 0700, and so do we.
const Config& prepare(const Config& config) {
  std::error_code failure;
  std::filesystem::create_directories(config.state_directory, failure);
  if (failure) throw Error(failure, {"make", config.state_directory, "Set --state-directory."});
  return config;
}

std::unique_ptr<keys::Keyring> tpm_keyring(const Config& config, std::shared_ptr<runtime::Metrics> metrics) {
  if (config.tcti == "none") return nullptr;
  keys::TpmStoreOptions options;
  options.tcti = config.tcti;
  options.directory = config.state_directory / "tpm";
  options.algorithm = config.storage_key;
  options.first_handle = config.storage_key_handle;
  options.observe = [metrics = std::move(metrics)](std::string_view command, std::chrono::nanoseconds took) {
    metrics->observe_tpm(command, took);
  };
  return std::make_unique<keys::Keyring>(std::make_unique<keys::TpmKekStore>(options), key_deadline, config.tpm_wait);
}

std::unique_ptr<keys::Keyring> software_keyring(const Config& config) {
  return std::make_unique<keys::Keyring>(
      std::make_unique<keys::SoftwareKekStore>(config.state_directory / "software", keys::node_key_credential()),
      key_deadline);
}

}  // namespace

struct Agent::Parts {
  Parts(asio::io_context& io, Config given, std::shared_ptr<volumes::Devices> drives)
      : loop(io),
        config(std::move(given)),
        pin(prepare(config).state_directory / "pin.json", files),
        store_home({config.state_directory, pin, files, [this] { start_anew(); }}, open_store(config.state_directory)),
        keys(tpm_keyring(config, metrics), software_keyring(config)),
        node_file(config.state_directory / "node.json", files),
        devices("devices", config.device_threads),
        volumes({{}, {}, config.state_directory, config.socket.parent_path()}, store_home.store(), keys, devices,
                std::move(drives)),
        port({loop.get_executor(), config.addresses, config.state_directory, keys, store_home.store(),
              [this] { return member.id(); }, member, [this] { return member.follow_choice(); },
              [this](cluster::JoinRequest request, http::Fingerprint key) {
                return admission.requested(std::move(request), key);
              },
              [this](Uuid volume) { return volumes.holds(volume); },
              [this](const Uuid& node) { cluster.heard_of(node); }}),
        member({store_home.store(), keys, pin, node_file, files, volumes, config.state_directory / "recovery",
                config.firmware, [this](const cluster::Membership& membership) { port.know(membership); },
                [this](cluster::MemberEntry entry) { return port.unreachable(std::move(entry)); }},
               host_name()),
        cluster(
            store_home.store(), member, pin, keys.has(Protection::tpm) ? Protection::tpm : Protection::software,
            [this](const cluster::MemberEntry& other) { return port.reach(other); },
            journalled(config.coordinator_lease)),
        admission({store_home.store(), pin, keys, node_file, files, config.state_directory / "join.json", port,
                   [this] { return store_home.view().etcd.has_value(); }, [this] { start_joining(); }}),
        scrape(cluster, volumes, *metrics),
        services({cluster, member, pin, node_file, keys, volumes, scrape, *metrics, store_home, admission,
                  [this] {
                    return control::Listening{port.fingerprint(), port.addresses()};
                  },
                  [this] { start_attach_missing(); }}),
        control(loop.get_executor(), services, config.socket,
                config.socket_group.empty() ? std::nullopt : control::group_id(config.socket_group)) {
    volumes.ask_through(port);
    volumes.when_caught_up([this] {
      runtime::spawn(loop.get_executor(), "look again at old generations", cluster.reconsider_retirement());
    });
  }

  asio::awaitable<void> begin();
  asio::awaitable<void> try_again();
  asio::awaitable<std::string> resume_cluster();
  asio::awaitable<bool> retry_volumes();
  asio::awaitable<void> become_member();
  asio::awaitable<void> fetch_missing_keks();
  asio::awaitable<void> prove_keys();
  asio::awaitable<bool> something_waits();
  void listen();
  asio::awaitable<void> watch_drives();
  asio::awaitable<void> clean_up_after(volumes::DriveFacts drive);
  void start_anew() {
    ended = Ended::restart;
    port.stop();
    control.stop();
    loop.stop();
  }
  void start_joining() {
    asked_to_join = true;
    if (!std::exchange(joining, true)) runtime::spawn(loop.get_executor(), "become a member", become_member());
  }
  void start_attach_missing() {
    runtime::spawn(loop.get_executor(), "attach what is missing", volumes.attach_missing());
  }

  asio::io_context& loop;
  Config config;
  std::shared_ptr<runtime::Metrics> metrics = std::make_shared<runtime::Metrics>();
  runtime::Worker files{"files", 1};
  cluster::LocalPin pin;
  StoreHome store_home;
  keys::NodeKeys keys;
  NodeFile node_file;
  runtime::Worker devices;
  volumes::VolumeService volumes;
  PeerPort port;
  LocalMember member;
  cluster::ClusterService cluster;
  Admission admission;
  Scrape scrape;
  NodeServices services;
  control::ControlServer control;
  std::unique_ptr<volumes::DriveMonitor> monitor;
  asio::steady_timer next_try{loop};
  bool cluster_started = false, joining = false, asked_to_join = false, fetching = false;
  Ended ended = Ended::stopped;
  std::string last_complaint, not_listening, not_fetched;
};

// Volumes first: they need neither store nor network, and the boot waits for them.
asio::awaitable<void> Agent::Parts::begin() {
  try {
    co_await node_file.load();
    if (node_file.known() && node_file.known()->protection) keys.choose(*node_file.known()->protection);
    if (node_file.known()) volumes.known_as(node_file.known()->identity.node);
    const std::optional<cluster::PinnedState> pinned = co_await pin.read();
    if (pinned) volumes.joined(pinned->pin.cluster);
    if (pinned) port.know(cluster::parse_membership(pinned->newest.document));
    if (!pinned && node_file.known() && store_home.view().etcd) start_joining();
  } catch (const Error& error) {
    runtime::log(Severity::error, "cannot read what this node knows of itself", {{"cause", error.what()}});
  }
  notify::status("Attaching volumes");
  co_await volumes.start();
  runtime::spawn(loop.get_executor(), "prove the keys", prove_keys());  // after the volumes: a proof costs TPM time
  co_await try_again();
}

// Until every generation has its verdict. A volume that needs a bad one shall say so: it is tried again.
asio::awaitable<void> Agent::Parts::prove_keys() {
  asio::steady_timer pause(loop);
  for (;;) {
    ProofAtStart::Outcome check;
    try {
      check = co_await member.prove_kept_keys();
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      runtime::log(Severity::error, "the keys cannot be proved; trying again", {{"cause", error.what()}});
      check.undecided = true;
    }
    if (check.found_more && volumes.member_of_cluster()) start_attach_missing();
    if (!check.undecided) co_return;
    pause.expires_after(proof_pause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<bool> Agent::Parts::something_waits() {
  const std::vector<volumes::VolumeView> all = co_await volumes.list();
  bool waits = false;
  std::size_t attached = 0;
  for (const volumes::VolumeView& view : all) {
    attached += view.condition == volumes::Condition::attached ? 1 : 0;
    // What another try can cure without anybody's doing. The rest waits for an operator, a drive or an approval.
    waits = waits || (view.condition == volumes::Condition::failed &&
                      (view.failure_kind == "tpm_absent" || view.failure_kind == "timed_out" ||
                       view.failure_kind == "tpm" || view.failure_kind == "errno"));
  }
  notify::status(std::to_string(attached) + " of " + std::to_string(all.size()) + " volumes attached" +
                 (last_complaint.empty() ? "" : "; " + last_complaint));
  co_return waits;
}

// An address that another program has, or that a unit's filter refuses, costs this node its place among the others, and
// nothing else.
void Agent::Parts::listen() {
  std::string cause;
  try {
    port.listen();
  } catch (const Error& error) {
    cause = error.what();
  }
  if (!cause.empty() && cause != not_listening)
    runtime::log(Severity::error, "other nodes cannot reach this one; trying again", {{"cause", cause}});
  not_listening = cause;
}

// Until it has begun, and then in case another coordinator died; why it does not go on, as a sentence.
asio::awaitable<std::string> Agent::Parts::resume_cluster() {
  try {
    if (joining) co_return "This node waits to be admitted to its cluster.";
    if (cluster_started) {
      co_await cluster.stand_by();
    } else {
      co_await cluster.start();
      co_await store_home.finish_move();
      cluster_started = true;
      runtime::spawn(loop.get_executor(), "greet the other members", port.greet());
    }
    if (!std::exchange(fetching, true)) runtime::spawn(loop.get_executor(), "fetch missing KEKs", fetch_missing_keks());
    co_return "";
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    metrics->add_error(errc_name(error.code()));
    co_return error.what();
  }
}

// Aside: another node's TPM may take its time.
asio::awaitable<void> Agent::Parts::fetch_missing_keks() {
  std::string cause;
  try {
    co_await port.fetch_missing_keks();
    co_await member.destroy_stray_keks();
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    cause = error.what();
  }
  if (!cause.empty() && cause != not_fetched)
    runtime::log(Severity::error, "this node's KEKs are not those of the cluster; trying again", {{"cause", cause}});
  not_fetched = cause;
  fetching = false;
}

// At a newcomer, from its request to the authority's answer; nobody else waits for either.
asio::awaitable<void> Agent::Parts::become_member() {
  asio::steady_timer pause(loop);
  std::string told;
  for (bool waits = true; waits || std::exchange(asked_to_join, false);) {
    try {
      waits = co_await admission.answer_question();
      if (!waits) continue;
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      if (std::exchange(told, error.what()) != error.what())
        runtime::log(Severity::error, "the authority's question is not answered; trying again", {{"cause", told}});
    }
    pause.expires_after(joining_pause);
    co_await pause.async_wait(asio::use_awaitable);
  }
  joining = false;
  next_try.cancel();
}

// Volumes that failed for a passing cause, whether the store answers or not. True while there are any.
asio::awaitable<bool> Agent::Parts::retry_volumes() {
  try {
    const bool waits = volumes.member_of_cluster() && co_await something_waits();
    if (waits) co_await volumes.attach_missing();
    co_return waits;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    runtime::log(Severity::error, "volumes that failed are not tried again now", {{"cause", error.what()}});
    metrics->add_error(errc_name(error.code()));
    co_return false;
  }
}

// For ever, at a calm pace.
asio::awaitable<void> Agent::Parts::try_again() {
  std::chrono::seconds growing = retry_pause;
  for (;;) {
    listen();
    const std::string complaint = co_await resume_cluster();
    if (!complaint.empty() && complaint != last_complaint)
      runtime::log(Severity::error, "the cluster's work does not go on; trying again", {{"cause", complaint}});
    last_complaint = complaint;
    const bool waits = co_await retry_volumes();
    next_try.expires_after(waits ? growing : retry_pause);
    growing = waits ? std::min(growing * 2, longest_retry_pause) : retry_pause;
    co_await next_try.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> Agent::Parts::watch_drives() {
  for (;;) {
    const volumes::DriveNews told = co_await monitor->next();
    // Aside: a drive that hangs or is slow to leave must not hide that another one comes or goes.
    if (told.news == volumes::News::missed)
      runtime::spawn(loop.get_executor(), "look at all drives", volumes.news_were_missed());
    else if (told.news == volumes::News::appeared)
      runtime::spawn(loop.get_executor(), "look at a drive", volumes.drive_appeared(told.drive));
    else if (volumes.member_of_cluster())
      runtime::spawn(loop.get_executor(), "clean up after a drive", clean_up_after(told.drive));
  }
}

asio::awaitable<void> Agent::Parts::clean_up_after(volumes::DriveFacts drive) {
  try {
    co_await volumes.device_removed(drive.device, drive.number);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    runtime::log(Severity::error, "cannot clean up after a drive that went away",
                 {{"device", drive.device}, {"error", errc_name(error.code())}, {"cause", error.what()}});
    metrics->add_error(errc_name(error.code()));
  }
}

Agent::Agent(asio::io_context& loop, Config config, std::shared_ptr<volumes::Devices> devices)
    : parts_(std::make_unique<Parts>(loop, std::move(config), std::move(devices))) {}
Agent::~Agent() = default;

Agent::Ended Agent::run() {
  Parts& parts = *parts_;
  const auto executor = parts.loop.get_executor();
  try {  // before the first scan, or a drive that goes in between is missed
    parts.monitor = std::make_unique<volumes::DriveMonitor>(executor);
    runtime::spawn(executor, "watch drives", parts.watch_drives());
  } catch (const boost::system::system_error& error) {
    runtime::log(Severity::warning, "drives that come and go will not be noticed, ignoring", {{"cause", error.what()}});
  }
  runtime::spawn(executor, "control socket", parts.control.run());
  runtime::spawn(executor, "begin", parts.begin());
  runtime::spawn(executor, "watchdog", notify::beat());
  // Ready when requests are answered; whether volumes are attached is volcrypt-settle.service's question.
  notify::ready();
  parts.loop.run();
  return parts.ended;
}

void Agent::stop() {
  notify::stopping();
  parts_->port.stop();
  parts_->control.stop();
  parts_->loop.stop();
}

}  // namespace volcrypt
