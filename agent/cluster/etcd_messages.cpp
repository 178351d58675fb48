// etcd's JSON, see etcd_messages.hpp.
#include "agent/cluster/etcd_messages.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "agent/http/json_body.hpp"
#include "dmtarget/bytes.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster::etcd {

namespace json = boost::json;

namespace {

std::string base64(const std::string& bytes) { return to_base64(as_bytes(bytes)); }

template <class Number>
std::string decimal(Number number) {
  return std::to_string(number);
}

void put_range(json::object& object, const KeyRange& keys) {
  object["key"] = base64(keys.first);
  if (!keys.end.empty()) object["range_end"] = base64(keys.end);
}

[[noreturn]] void refuse(const std::string& why) { throw Error(unreadable, {"read", "etcd's answer", why}); }

json::object object_of(std::string_view text) {
  try {
    json::value value = http::parse_json(text, "etcd's answer");
    if (value.is_object()) return std::move(value.get_object());
  } catch (const Error& error) {
    refuse(error.way_out());
  }
  refuse("It is not a JSON object.");
}

const json::value* member(const json::object& object, std::string_view name) {
  return object.if_contains(json::string_view(name.data(), name.size()));
}

const json::object& object_in(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr || !value->is_object()) refuse("It has no object \"" + std::string(name) + "\".");
  return value->get_object();
}

std::string text_in(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse("\"" + std::string(name) + "\" is not a string.");
  return {value->get_string().data(), value->get_string().size()};
}

bool flag_in(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr) return false;
  if (!value->is_bool()) refuse("\"" + std::string(name) + "\" is neither true nor false.");
  return value->get_bool();
}

template <class Number>
Number number_in(const json::object& object, std::string_view name) {
  const std::string digits = text_in(object, name);
  if (digits.empty()) return 0;
  Number number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failed != std::errc() || end != digits.data() + digits.size())
    refuse("\"" + std::string(name) + "\" is not a number.");
  return number;
}

std::string bytes_in(const json::object& object, std::string_view name) {
  try {
    const Bytes bytes = from_base64(text_in(object, name));
    return {bytes.begin(), bytes.end()};
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) throw;
    refuse("\"" + std::string(name) + "\" is not base64.");
  }
}

Revision now_in(const json::object& answer) {
  const Revision now = number_in<Revision>(object_in(answer, "header"), "revision");
  if (now == 0) refuse("It tells no revision.");
  return now;
}

Found found_in(const json::value& value, const std::string& prefix) {
  if (!value.is_object()) refuse("What was found is not an object.");
  const json::object& kv = value.get_object();
  Found found;
  found.entry.key = bytes_in(kv, "key");
  if (!found.entry.key.starts_with(prefix)) refuse("It has a key that was not asked for.");
  found.entry.key.erase(0, prefix.size());
  found.entry.value = bytes_in(kv, "value");
  found.entry.modified = number_in<Revision>(kv, "mod_revision");
  found.lease = number_in<LeaseId>(kv, "lease");
  if (found.entry.modified == 0) refuse("A key has no revision.");
  return found;
}

}  // namespace

KeyRange all_with(const std::string& prefix) {
  KeyRange keys{prefix, prefix};
  ++keys.end.back();  // never 0xff: prefixes are ASCII
  return keys;
}

// ---- requests ----

std::string to_json(const RangeRequest& request) {
  json::object object;
  put_range(object, request.keys);
  if (request.at != 0) object["revision"] = decimal(request.at);
  if (request.limit != 0) object["limit"] = decimal(request.limit);
  return json::serialize(object);
}

std::string to_json(const Transaction& transaction, const std::string& prefix, LeaseId lease) {
  json::array compares, operations;
  for (const Compare& compare : transaction.when) {
    json::object object;
    object["key"] = base64(prefix + compare.key);
    object["target"] = "MOD";
    object["result"] = "EQUAL";
    object["mod_revision"] = decimal(compare.modified);
    compares.push_back(std::move(object));
  }
  for (const auto& operation : transaction.then) {
    json::object object, wrapped;
    if (const auto* put = std::get_if<Put>(&operation)) {
      object["key"] = base64(prefix + put->key);
      object["value"] = base64(put->value);
      if (lease != 0) object["lease"] = decimal(lease);
      wrapped["request_put"] = std::move(object);
    } else {
      object["key"] = base64(prefix + std::get<Delete>(operation).key);
      wrapped["request_delete_range"] = std::move(object);
    }
    operations.push_back(std::move(wrapped));
  }
  json::object whole;
  whole["compare"] = std::move(compares);
  whole["success"] = std::move(operations);
  return json::serialize(whole);
}

std::string watch_request(const KeyRange& keys, Revision from) {
  json::object create, whole;
  put_range(create, keys);
  create["start_revision"] = decimal(from);
  create["fragment"] = true;  // what was missed may be long: a part of it is enough to know
  whole["create_request"] = std::move(create);
  return json::serialize(whole);
}

std::string grant_request(std::int64_t seconds) {
  json::object object;
  object["TTL"] = decimal(seconds);
  return json::serialize(object);
}

std::string lease_request(LeaseId lease) {
  json::object object;
  object["ID"] = decimal(lease);
  return json::serialize(object);
}

// ---- answers ----

RangeAnswer parse_range(std::string_view text, const std::string& prefix) {
  const json::object object = object_of(text);
  RangeAnswer answer;
  answer.now = now_in(object);
  answer.more = flag_in(object, "more");
  const json::value* all = member(object, "kvs");
  if (all == nullptr) return answer;
  if (!all->is_array()) refuse("\"kvs\" is not an array.");
  for (const json::value& value : all->get_array()) answer.found.push_back(found_in(value, prefix));
  return answer;
}

TxnAnswer parse_txn(std::string_view text) {
  const json::object object = object_of(text);
  return {now_in(object), flag_in(object, "succeeded")};
}

WatchAnswer parse_watch(std::string_view line) {
  const json::object whole = object_of(line);
  if (member(whole, "error") != nullptr) refuse("The watch ended with an error.");
  const json::object& result = object_in(whole, "result");
  WatchAnswer answer;
  answer.now = number_in<Revision>(object_in(result, "header"), "revision");  // none when it is cancelled
  answer.created = flag_in(result, "created");
  answer.cancelled = flag_in(result, "canceled");
  answer.compacted = number_in<Revision>(result, "compact_revision");
  answer.reason = text_in(result, "cancel_reason");
  const json::value* events = member(result, "events");
  answer.has_events = events != nullptr && events->is_array() && !events->get_array().empty();
  return answer;
}

LeaseId parse_grant(std::string_view text) {
  const auto lease = number_in<LeaseId>(object_of(text), "ID");
  if (lease == 0) refuse("It grants no lease.");
  return lease;
}

std::int64_t parse_keepalive(std::string_view line) {
  const json::object whole = object_of(line);
  return number_in<std::int64_t>(object_in(whole, "result"), "TTL");
}

Refusal parse_refusal(std::string_view text) {
  constexpr std::size_t shown = 200;
  json::error_code failed;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), failed);
  Refusal refusal{0, std::string(text.substr(0, shown))};
  if (failed || !value.is_object()) return refusal;
  const json::object& object = value.get_object();
  const json::value* code = member(object, "code");
  const json::value* message = member(object, "message");
  if (code != nullptr && code->is_int64()) refusal.code = static_cast<int>(code->get_int64());
  if (message != nullptr && message->is_string())
    refusal.text = std::string(message->get_string().data(), message->get_string().size()).substr(0, shown);
  return refusal;
}

}  // namespace volcrypt::cluster::etcd
