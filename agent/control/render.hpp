// What the services know, as the JSON of the API: the status document of DESIGN.md section 5 and the views of volumes.
// Names are camelCase; enumerations are words; sizes are bytes; absent is null. Pure. Any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <vector>

#include "agent/cluster/cluster_service.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt::control {

namespace json = boost::json;

std::string to_text(cluster::EncryptionPhase phase);
std::string to_text(cluster::RotationPhase phase);  // "EncryptingDEKs": the vendor's misspelling is never written
std::string to_text(volumes::Condition condition);

json::object render(const cluster::ClusterInfo& info);
json::object render(const cluster::RotationView& rotation);
json::array render(const std::vector<cluster::EnableCheck>& checks);
json::object render(const volumes::VolumeView& volume);
json::object render(const volumes::Outcome& outcome);  // {"changed": true, "volume": {...}}

// PCRs now, and the approved states of this node, newest first; `member` is null before init.
json::object render_boot_state(const keys::BootReport& report, std::optional<cluster::SecureBoot> secure_boot,
                               const cluster::MemberEntry* member);

}  // namespace volcrypt::control
