// JSON of what goes both ways between the agent and volcryptctl: identities, boot reports, signed membership. One
// place, so that the two ends cannot disagree. Strict readers. Pure; nothing secret. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "agent/cluster/membership.hpp"
#include "agent/control/admissions.hpp"
#include "agent/control/enrolled_node.hpp"
#include "agent/control/store_request.hpp"
#include "agent/http/json_body.hpp"
#include "agent/keys/kek_store.hpp"

namespace volcrypt::control {

namespace json = boost::json;

// "tpm", "software". Throws Error(errc::invalid_argument) on anything else.
std::string to_text(keys::Protection protection);
keys::Protection parse_protection(const std::string& text);

json::object render(const EnrolRequest& request);
EnrolRequest parse_enrol_request(http::JsonObject body);

json::object render(const keys::BootReport& report);
keys::BootReport parse_boot_report(http::JsonObject body);

json::object render(const EnrolledNode& node);
EnrolledNode parse_enrolled_node(http::JsonObject body);

json::object render(const StoreRequest& request);
StoreRequest parse_store_request(http::JsonObject body);
// `failure`: why the store does not answer; empty when it does.
json::object render(const StoreView& view, const std::string& failure);

json::object render(const TokenRequest& request);
TokenRequest parse_token_request(http::JsonObject body);
json::object render(const TokenPlace& place);
TokenPlace parse_token_place(http::JsonObject body);
json::object render(const JoinOrder& order);
JoinOrder parse_join_order(http::JsonObject body);
// For people and, in its member "record", exactly as it is in the store.
json::object render(const cluster::PendingNode& node);

json::object render(const cluster::SignedMembership& membership);
cluster::SignedMembership parse_signed_membership(http::JsonObject body);

}  // namespace volcrypt::control
