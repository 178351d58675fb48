// The verbs of volcryptctl. Each prints its result and returns the exit code; what goes wrong is thrown as Failure or
// Error. Implemented by group: cluster_verbs, admission_verbs, store_verbs, volume_verbs, node_verbs, recovery_verbs.
// One thread.
#pragma once

#include "agent/cli/session.hpp"
#include "agent/control/store_request.hpp"

namespace volcrypt::cli {

// cluster_verbs.cpp
ExitStatus enable_feature_flag(Session& session);
ExitStatus enable_encryption(Session& session, const EnableOptions& options);
ExitStatus get_clusterinfo(Session& session);
ExitStatus rotate(Session& session, const RotateOptions& options);

// init_verb.cpp
ExitStatus cluster_init(Session& session, const InitOptions& options);

// admission_verbs.cpp
ExitStatus cluster_token(Session& session, const TokenOptions& options);
ExitStatus cluster_join(Session& session, const JoinOptions& options);
ExitStatus get_nodes(Session& session);
ExitStatus admit_node(Session& session, const MemberOptions& options);
ExitStatus reject_node(Session& session, const std::string& name);
ExitStatus remove_node(Session& session, const MemberOptions& options);

// store_verbs.cpp
ExitStatus get_store(Session& session);
ExitStatus migrate_store(Session& session, const StoreOptions& options);
// Before this node belongs to a cluster: a part of `cluster init` and `cluster join`.
void choose_store(Session& session, const StoreOptions& options, control::StoreUse use);

// volume_verbs.cpp
ExitStatus get_volumes(Session& session);
ExitStatus get_volume(Session& session, const std::string& name);
ExitStatus create_volume(Session& session, const CreateOptions& options);
ExitStatus delete_volume(Session& session, const std::string& name, Confirmation confirmation);
ExitStatus forget_volume(Session& session, const std::string& name, Confirmation confirmation);
ExitStatus attach(Session& session, const AttachOptions& options);
ExitStatus detach(Session& session, const std::string& name);
ExitStatus header_backup(Session& session, const std::string& name, const std::string& output);
ExitStatus header_restore(Session& session, const std::string& name, const std::string& device,
                          const std::optional<std::string>& input);
ExitStatus settle(Session& session, unsigned timeout);

// node_verbs.cpp
ExitStatus boot_state(Session& session);
ExitStatus approve_boot_state(Session& session, const ApproveOptions& options);

// recovery_verbs.cpp
ExitStatus recovery_verify(Session& session, const std::string& recovery_file);
ExitStatus recovery_export(Session& session, const std::string& output);
ExitStatus recovery_open(Session& session, const RecoveryOpenOptions& options);

}  // namespace volcrypt::cli
