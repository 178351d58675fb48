// See store_record.hpp.
#include "agent/cluster/store_record.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace {

const JsonDocument record_document{"the record of this node's store", store_record_limit, 2, errc::store_damaged};

void check_path(const std::filesystem::path& path, const char* what) {
  const std::string& text = path.native();
  constexpr std::size_t longest = 1024;
  const bool visible = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (path.is_absolute() && text.size() <= longest && visible) return;
  throw Error(errc::invalid_argument,
              {"use", volcrypt::quoted(text), std::string("The path of ") + what + " must be absolute."});
}

}  // namespace

void check(const EtcdAddress& address) {
  if (parse_etcd_servers(to_text(address.servers)) != address.servers)
    throw Error(errc::invalid_argument, {"use", "the servers of an etcd", "One of them is not spelt as a host."});
  check_etcd_prefix(address.prefix);
  check_path(address.files.authority, "the certificate authority");
  if (address.files.certificate.empty() && address.files.key.empty()) return;
  if (address.files.certificate.empty() || address.files.key.empty())
    throw Error(errc::invalid_argument,
                {"use", "the etcd", "Give this node's certificate and its key, both or neither of them."});
  check_path(address.files.certificate, "the certificate");
  check_path(address.files.key, "the key");
}

std::string to_json(const StoreRecord& record) {
  boost::json::object object;
  object["version"] = 1;
  object["engine"] = record.etcd ? "etcd" : "embedded";
  if (record.etcd) {
    object["servers"] = to_text(record.etcd->servers);
    object["prefix"] = record.etcd->prefix;
    object["authority"] = record.etcd->files.authority.native();
    object["certificate"] = record.etcd->files.certificate.native();
    object["key"] = record.etcd->files.key.native();
  }
  return boost::json::serialize(object);
}

StoreRecord parse_store_record(std::string_view json) {
  const boost::json::object object = parse_object(json, record_document);
  MemberReader members(object, record_document);
  if (members.number("version") != 1)
    throw Error(errc::token_version,
                {"read", record_document.what, "Use the volcrypt release that wrote it, or a newer one."});
  StoreRecord record;
  const std::string_view engine = members.text("engine");
  if (engine == "etcd") {
    EtcdAddress address;
    const std::string_view servers = members.text("servers");
    address.prefix = members.text("prefix");
    address.files.authority = members.text("authority");
    address.files.certificate = members.text("certificate");
    address.files.key = members.text("key");
    try {
      address.servers = parse_etcd_servers(servers);
      check(address);
    } catch (const Error& error) {
      throw Error(errc::store_damaged, {"read", record_document.what, error.what()});
    }
    record.etcd = std::move(address);
  } else if (engine != "embedded") {
    members.refuse("engine", "It must be embedded or etcd.");
  }
  members.finish();
  return record;
}

}  // namespace volcrypt::cluster
