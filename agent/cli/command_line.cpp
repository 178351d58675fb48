// The tree of verbs. Each has its help and an example; options stand in the structs of session.hpp.
#include "agent/cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <memory>
#include <sstream>

#include "agent/cli/verbs.hpp"

namespace volcrypt::cli {

namespace {

// What options are parsed into; lives until the verb has run.
struct Options {
  Settings settings;
  std::string format = "table";
  std::string pcrs;
  std::string name, device, file;
  bool reuse_keys = false, without_tpm = false, abort = false, check = false, wait = false, yes = false;
  unsigned settle_timeout = 90;
  InitOptions init;
  EnableOptions enable;
  CreateOptions create;
  AttachOptions attach;
  RotateOptions rotate;
  StoreOptions store;
  ApproveOptions approve;
  std::string pcr_digest;
  RecoveryOpenOptions open;
  TokenOptions token;
  JoinOptions join;
  MemberOptions member;
  std::function<ExitStatus(Session&)> verb;
};

std::optional<std::string> given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

class Tree {
 public:
  explicit Tree(Options& options) : app_("Controls volcrypt on this server.", "volcryptctl"), options_(options) {
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.set_version_flag("--version", "volcryptctl " VOLCRYPT_VERSION, "Print the version and exit");
    app_.set_help_flag("-h,--help", "Print this help and exit");
    app_.add_option("-o,--format", options.format, "Output: table (default), json or yaml")
        ->check(CLI::IsMember({"table", "json", "yaml", "names"}));
    app_.add_option("--socket", options.settings.socket, "The agent's control socket")->capture_default_str();
    app_.add_option(
            "--passphrase-fd", options.settings.passphrase_fds,
            "Read a passphrase from this file descriptor; several are used in the order that the verb names them")
        ->check(CLI::Range(0, 1023))
        ->allow_extra_args(false);
    app_.footer("Manual page: volcryptctl(1). Exit codes stand there.");
    cluster_verbs();
    store_verbs();
    get_verbs();
    volume_verbs();
    node_verbs();
    recovery_verbs();
    completion_verb();
  }

  CLI::App& app() { return app_; }

 private:
  static CLI::App& group(CLI::App& parent, const std::string& name, const std::string& help) {
    auto& sub = *parent.add_subcommand(name, help);
    sub.require_subcommand(1);
    return sub;
  }

  CLI::App& verb(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example,
                 std::function<ExitStatus(Session&)> run) {
    auto& sub = *parent.add_subcommand(name, help);
    sub.footer("Example:\n  " + example);
    sub.callback([this, run = std::move(run)] { options_.verb = run; });
    return sub;
  }

  void cluster_verbs() {
    auto& o = options_;
    auto& cluster = group(app_, "cluster", "Make the cluster");
    auto& init = verb(
        cluster, "init",
        "Make a cluster of this node. Asks for two passphrases (authority key, recovery key) and writes two key files",
        "volcryptctl cluster init --name vault --pcrs 7", [&o](Session& session) {
          o.init.reuse_keys = o.reuse_keys ? Reuse::yes : Reuse::no;
          o.init.tpm = o.without_tpm ? control::TpmUse::left_out : control::TpmUse::required;
          if (!o.pcrs.empty()) o.init.pcrs = parse_pcrs(o.pcrs);
          o.init.store = o.store;
          return cluster_init(session, o.init);
        });
    init.add_option("--name", o.init.name, "The cluster's name")->capture_default_str();
    init.add_option("--authority-file", o.init.authority_file, "New file for the authority key (NAME-authority.json)");
    init.add_option("--recovery-file", o.init.recovery_file, "New file for the recovery key (NAME-recovery.json)");
    auto* pcrs = init.add_option("--pcrs", o.pcrs,
                                 "PCRs of bank SHA-256 that must not change, as 7 or 7,14, or none (default 7)");
    init.add_flag("--without-tpm", o.without_tpm, "Make a cluster that can never use a TPM: software protection only")
        ->excludes(pcrs);
    init.add_flag("--reuse-keys", o.reuse_keys, "Use key files that an earlier try has written");
    init.add_option("--store", o.store.address,
                    "Keep the cluster's state in this etcd, as etcd:https://HOST:2379,... (default: on this node)");
    store_files(init);

    membership_verbs(cluster);

    auto& enable = group(app_, "enable", "Switch a feature flag or cluster encryption on");
    auto& feature = group(enable, "feature-flag", "Switch a feature flag on");
    verb(feature, "cluster-encryption", "Allow cluster encryption to be enabled",
         "volcryptctl enable feature-flag cluster-encryption", enable_feature_flag);
    auto& encryption = verb(enable, "cluster-encryption", "Check everything, then make KEK generation 1",
                            "volcryptctl enable cluster-encryption --protection tpm", [&o](Session& session) {
                              o.enable.only_check = o.check ? Checking::yes : Checking::no;
                              return enable_encryption(session, o.enable);
                            });
    encryption.add_option("--protection", o.enable.protection, "Where the KEK lives: tpm or software")
        ->check(CLI::IsMember({"tpm", "software"}))
        ->capture_default_str();
    encryption.add_flag("--check", o.check, "Only check, change nothing");

    auto& rotation = group(app_, "rotate", "Rotate a key");
    auto& kek = verb(rotation, "cluster-root-key", "Make a new KEK generation and rewrap every volume's key, online",
                     "volcryptctl rotate cluster-root-key --wait", [&o](Session& session) {
                       o.rotate.what = o.abort ? Rotating::abort : Rotating::begin;
                       o.rotate.wait = o.wait ? Waiting::yes : Waiting::no;
                       return rotate(session, o.rotate);
                     });
    auto* wait = kek.add_flag("--wait", o.wait, "Wait until it is done and show progress");
    auto* timeout = kek.add_option("--timeout", o.rotate.timeout, "Wait at most this many seconds (0: no limit)")
                        ->capture_default_str();
    kek.add_flag("--abort", o.abort, "Take back a rotation whose new KEK is not proved yet; its number is never used")
        ->excludes(wait)
        ->excludes(timeout);
  }

  void membership_verbs(CLI::App& cluster) {
    auto& o = options_;
    auto& token = verb(cluster, "token", "On a member: write a token with which one node may ask once to join",
                       "volcryptctl cluster token --output node2.token",
                       [&o](Session& session) { return cluster_token(session, o.token); });
    token.add_option("--output", o.token.output, "New file for the token")->required();
    token.add_option("--hours", o.token.hours, "How long it is good for")
        ->check(CLI::Range(1, 720))
        ->capture_default_str();
    auto& join =
        verb(cluster, "join",
             "On a new node: ask the member at ADDRESS, which has made the token, to be admitted to its cluster",
             "volcryptctl cluster join 10.0.0.1 --token-file node2.token --store etcd:https://10.0.0.1:2379 "
             "--store-authority /etc/volcrypt/etcd-ca.pem",
             [&o](Session& session) {
               o.join.tpm = o.without_tpm ? control::TpmUse::left_out : control::TpmUse::required;
               o.join.wait = o.wait ? Waiting::yes : Waiting::no;
               o.join.store = o.store;
               return cluster_join(session, o.join);
             });
    join.add_option("ADDRESS", o.join.address, "A member's address, as 10.0.0.1 or [2001:db8::1]:4007")->required();
    join.add_option("--token-file", o.join.token_file, "File of `cluster token`")->required();
    join.add_option("--name", o.join.name, "The node's name in the cluster (default: the host's)");
    join.add_flag("--without-tpm", o.without_tpm, "Take part with software protection only");
    join.add_flag("--wait", o.wait, "Wait until the authority has decided");
    join.add_option("--store", o.store.address, "The cluster's etcd, as etcd:https://HOST:2379,...");
    store_files(join);
  }

  void store_files(CLI::App& sub) {
    StoreOptions& store = options_.store;
    sub.add_option("--store-authority", store.authority, "PEM file of the authority that signs etcd's certificates");
    sub.add_option("--store-certificate", store.certificate, "PEM file of this node's certificate for etcd");
    sub.add_option("--store-key", store.key, "PEM file of that certificate's key, without a passphrase");
    sub.add_option("--store-prefix", store.prefix, "What stands before every key of this cluster in etcd")
        ->capture_default_str();
  }

  void store_verbs() {
    auto& o = options_;
    auto& store = group(app_, "store", "Where the cluster's state is kept");
    auto& migrate =
        verb(store, "migrate", "Move the cluster's state to an etcd; volumes are not touched",
             "volcryptctl store migrate etcd:https://10.0.0.1:2379 --store-authority /etc/volcrypt/etcd-ca.pem",
             [&o](Session& session) { return migrate_store(session, o.store); });
    migrate.add_option("ADDRESS", o.store.address, "etcd:https://HOST:2379, with commas between several")->required();
    store_files(migrate);
  }

  void get_verbs() {
    auto& o = options_;
    auto& get = group(app_, "get", "Show the cluster, its nodes or its volumes");
    verb(get, "clusterinfo", "Encryption and rotation state, protection, PCR policy, warnings",
         "volcryptctl get clusterinfo -o json", get_clusterinfo);
    verb(get, "nodes", "The nodes of the cluster, and those that want to join", "volcryptctl get nodes", get_nodes);
    verb(get, "store", "Where the cluster's state is kept, and whether it answers", "volcryptctl get store", get_store);
    verb(get, "volumes", "Every volume with its state", "volcryptctl get volumes", get_volumes);
    auto& one = verb(get, "volume", "One volume in detail", "volcryptctl get volume data1",
                     [&o](Session& session) { return get_volume(session, o.name); });
    name_of(one);
  }

  void volume_verbs() {
    auto& o = options_;
    auto& create = group(app_, "create", "Make a volume");
    auto& make = verb(create, "volume", "Format a device as an encrypted volume and attach it as /dev/mapper/NAME",
                      "volcryptctl create volume data1 --device /dev/sdb",
                      [&o](Session& session) { return create_volume(session, o.create); });
    make.add_option("NAME", o.create.name, "Name under /dev/mapper")->required();
    make.add_option("--device", o.create.device, "The device to format; it must be blank")->required();
    make.add_flag("--erase-existing-data", o.create.erase_existing_data, "Format although the device is not blank");
    make.add_flag("--allow-discards", o.create.allow_discards, "Pass discards down; it shows which sectors are unused");

    auto& remove = group(app_, "delete", "Erase a volume");
    auto& erase = verb(remove, "volume", "Crypto-erase: nobody can read the volume any more. Asks to type the name",
                       "volcryptctl delete volume data1", [&o](Session& session) {
                         return delete_volume(session, o.name, o.yes ? Confirmation::given : Confirmation::ask);
                       });
    name_of(erase);
    erase.add_flag("--yes", o.yes, "Do not ask");

    auto& giving_up = group(app_, "forget", "Give up a volume");
    auto& forget = verb(giving_up, "volume",
                        "Give up a volume whose drive is gone for good; refused while the drive is here. Asks to type "
                        "the name",
                        "volcryptctl forget volume data1", [&o](Session& session) {
                          return forget_volume(session, o.name, o.yes ? Confirmation::given : Confirmation::ask);
                        });
    name_of(forget);
    forget.add_flag("--yes", o.yes, "Do not ask");

    auto& attaching =
        verb(app_, "attach",
             "Make /dev/mapper/NAME of a volume, of what is on a device, or of a volume from exactly that device",
             "volcryptctl attach data1\n  volcryptctl attach --device /dev/sdb", [&o](Session& session) {
               if (o.attach.name.empty() && o.attach.device.empty()) {
                 throw Failure(ExitStatus::usage, "cannot attach: give a volume's NAME, or --device.");
               }
               return attach(session, o.attach);
             });
    auto* attached = attaching.add_option("NAME", o.attach.name, "The volume's name");
    attaching.add_option("--device", o.attach.device, "The device that carries it");
    attaching
        .add_flag("--take-over", o.attach.take_over,
                  "Although it is another node's, which does not answer or was removed")
        ->needs(attached);
    auto& detaching = verb(app_, "detach", "Remove /dev/mapper/NAME; refused while it is in use",
                           "volcryptctl detach data1", [&o](Session& session) { return detach(session, o.name); });
    name_of(detaching);

    auto& header = group(app_, "header", "Back up or restore a volume's header");
    auto& backup = verb(header, "backup", "Write the header to a file; it holds no key in clear",
                        "volcryptctl header backup data1 --output data1.header",
                        [&o](Session& session) { return header_backup(session, o.name, o.file); });
    name_of(backup);
    backup.add_option("--output", o.file, "New file")->required();
    auto& restore = verb(header, "restore", "Write a header back to the volume's device",
                         "volcryptctl header restore data1 --device /dev/sdb",
                         [&o](Session& session) { return header_restore(session, o.name, o.device, given(o.file)); });
    name_of(restore);
    restore.add_option("--device", o.device, "The device whose header is damaged")->required();
    restore.add_option("--input", o.file, "A file of `header backup`; without it the agent's newest backup");

    auto& settling =
        verb(app_, "settle", "Wait until every volume of this node is attached or has failed visibly",
             "volcryptctl settle --timeout 60", [&o](Session& session) { return settle(session, o.settle_timeout); });
    settling.add_option("--timeout", o.settle_timeout, "Seconds")->check(CLI::Range(0, 3600))->capture_default_str();
  }

  void node_verbs() {
    auto& o = options_;
    auto& node = group(app_, "node", "Admit and remove nodes; boot state of this node");
    verb(node, "boot-state", "PCRs now, approved states, and what happens at the next boot",
         "volcryptctl node boot-state", boot_state);
    auto& approve =
        verb(node, "approve-boot-state", "Let the authority approve a boot state of this node",
             "volcryptctl node approve-boot-state --authority-file vault-authority.json", [&o](Session& session) {
               o.approve.pcr_digest = given(o.pcr_digest);
               return approve_boot_state(session, o.approve);
             });
    approve.add_option("--authority-file", o.approve.authority_file, "The authority's key file")->required();
    auto& admit = verb(node, "admit", "Let the authority admit a node that wants to join, after its keys were proved",
                       "volcryptctl node admit node2 --authority-file vault-authority.json", [&o](Session& session) {
                         if (!o.pcrs.empty()) o.member.pcrs = parse_pcrs(o.pcrs);
                         return admit_node(session, o.member);
                       });
    member_of(admit);
    admit.add_option("--pcrs", o.pcrs, "PCRs of bank SHA-256 that must not change (default: as on this node)");
    auto& reject =
        verb(node, "reject", "Forget the request of a node that wants to join", "volcryptctl node reject node2",
             [&o](Session& session) { return reject_node(session, o.member.name); });
    reject.add_option("NODE", o.member.name, "The node's name or id, see `get nodes`")->required();
    auto& remove = verb(node, "remove", "Let the authority remove a member, and rotate the KEK",
                        "volcryptctl node remove node2 --authority-file vault-authority.json",
                        [&o](Session& session) { return remove_node(session, o.member); });
    member_of(remove);
    remove.add_flag("--leave-volumes", o.member.leave_volumes, "Although it owns volumes, which nobody attaches then");
    approve.add_option("--pcr-digest", o.pcr_digest, "Digest to approve, hexadecimal (default: the present one)");
  }

  void member_of(CLI::App& sub) {
    sub.add_option("NODE", options_.member.name, "The node's name or id, see `get nodes`")->required();
    sub.add_option("--authority-file", options_.member.authority_file, "The authority's key file")->required();
  }

  void recovery_verbs() {
    auto& o = options_;
    auto& recovery = group(app_, "recovery", "Prove and use the recovery key");
    auto& verify = verb(recovery, "verify", "Open every present recovery blob with the recovery key",
                        "volcryptctl recovery verify --recovery-file vault-recovery.json",
                        [&o](Session& session) { return recovery_verify(session, o.open.recovery_file); });
    verify.add_option("--recovery-file", o.open.recovery_file, "The recovery key file")->required();
    auto& bundle = verb(recovery, "export", "Write the recovery bundle; repeat after each rotation",
                        "volcryptctl recovery export --output vault-bundle.json",
                        [&o](Session& session) { return recovery_export(session, o.file); });
    bundle.add_option("--output", o.file, "New file")->required();
    auto& open = verb(
        recovery, "open", "Attach a volume with bundle and recovery key; needs no agent, cluster or TPM",
        "volcryptctl recovery open --device /dev/sdb --bundle vault-bundle.json --recovery-file vault-recovery.json",
        [&o](Session& session) {
          o.open.name = given(o.name);
          return recovery_open(session, o.open);
        });
    open.add_option("--device", o.open.device, "The volume's drive")->required();
    open.add_option("--bundle", o.open.bundle, "File of `recovery export`")->required();
    open.add_option("--recovery-file", o.open.recovery_file, "The recovery key file")->required();
    open.add_option("--name", o.name, "Name under /dev/mapper (default: the volume's)");
  }

  void completion_verb() {
    auto& completion = group(app_, "completion", "Print a shell's completion script");
    verb(completion, "bash", "For bash", "source <(volcryptctl completion bash)", [](Session&) {
      print(bash_completion);
      return ExitStatus::done;
    });
  }

  void name_of(CLI::App& sub) { sub.add_option("NAME", options_.name, "The volume's name")->required(); }

  CLI::App app_;
  Options& options_;
};

Format format_of(const std::string& text) {
  if (text == "json") return Format::json;
  if (text == "yaml") return Format::yaml;
  return text == "names" ? Format::names : Format::human;
}

}  // namespace

Parsed parse_command_line(const std::vector<std::string>& words) {
  const auto options = std::make_shared<Options>();
  Tree tree(*options);
  Parsed parsed;
  try {
    tree.app().parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
  } catch (const CLI::ParseError& ended) {
    std::ostringstream out, err;
    const int code = tree.app().exit(ended, out, err);
    parsed.status = code == 0 ? ExitStatus::done : ExitStatus::usage;
    parsed.text = code == 0 ? out.str() : "volcryptctl: cannot read the command line: " + err.str();
    return parsed;
  }
  options->settings.format = format_of(options->format);
  parsed.invocation = Invocation{options->settings, [options](Session& session) { return options->verb(session); }};
  return parsed;
}

}  // namespace volcrypt::cli
