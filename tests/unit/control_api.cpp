// The API's texts: problems, admission, documents as exact JSON, and the routes against openapi.yaml.
#define BOOST_TEST_DYN_LINK
#include <yaml-cpp/yaml.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

#include "agent/control/access.hpp"
#include "agent/control/documents.hpp"
#include "agent/control/render.hpp"
#include "agent/control/routes.hpp"
#include "agent/http/problem.hpp"
#include "agent/runtime/metrics.hpp"

using namespace volcrypt;
using namespace volcrypt::control;

namespace {

const Uuid some_uuid = Uuid::parse("11111111-2222-4333-8444-555555555555");

// Routes are only listed here, never called.
class NoServices : public Services {
 public:
  cluster::ClusterService& cluster() override { throw std::logic_error("not asked"); }
  Admissions& admissions() override { throw std::logic_error("not asked"); }
  const Uuid& node() const override { return some_uuid; }
  volumes::VolumeService& volumes() override { throw std::logic_error("not asked"); }
  asio::awaitable<std::vector<volumes::VolumeView>> list_volumes() override { throw std::logic_error("not asked"); }
  runtime::Metrics& metrics() override { throw std::logic_error("not asked"); }
  asio::awaitable<std::string> metrics_text() override { throw std::logic_error("not asked"); }
  asio::awaitable<EnrolledNode> enrol(EnrolRequest) override { throw std::logic_error("not asked"); }
  asio::awaitable<void> init_cluster(cluster::SignedMembership) override { throw std::logic_error("not asked"); }
  asio::awaitable<void> update_membership(cluster::SignedMembership) override { throw std::logic_error("not asked"); }
  asio::awaitable<std::optional<cluster::SignedMembership>> membership() override {
    throw std::logic_error("not asked");
  }
  asio::awaitable<keys::BootReport> boot_report() override { throw std::logic_error("not asked"); }
  asio::awaitable<std::optional<cluster::SecureBoot>> secure_boot() override { throw std::logic_error("not asked"); }
  Listening listening() override { throw std::logic_error("not asked"); }
  StoreView store() override { throw std::logic_error("not asked"); }
  asio::awaitable<std::string> store_failure() override { throw std::logic_error("not asked"); }
  asio::awaitable<bool> choose_store(StoreRequest) override { throw std::logic_error("not asked"); }
  asio::awaitable<keys::RecoveryBundle> recovery_bundle() override { throw std::logic_error("not asked"); }
};

std::set<std::string> routes_of_the_program() {
  NoServices services;
  std::set<std::string> all;
  for (const auto& route : Routes(services).router().routes()) {
    all.insert(std::string(http::to_text(route.method)) + " " + route.pattern);
  }
  return all;
}

std::set<std::string> routes_of_the_description(const YAML::Node& document) {
  std::set<std::string> all;
  for (const auto& path : document["paths"]) {
    for (const auto& operation : path.second) {
      auto method = operation.first.as<std::string>();
      if (method == "parameters") continue;
      for (auto& c : method) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      all.insert(method + " " + path.first.as<std::string>());
    }
  }
  return all;
}

// Members that the schema names as required, through $ref and allOf.
void collect_required(const YAML::Node& document, YAML::Node schema, std::set<std::string>& into) {
  if (const auto reference = schema["$ref"]) {
    const auto name = reference.as<std::string>();
    collect_required(document, document["components"]["schemas"][name.substr(name.rfind('/') + 1)], into);
    return;
  }
  for (const auto& name : schema["required"]) into.insert(name.as<std::string>());
  for (const auto& part : schema["allOf"]) collect_required(document, part, into);
}

std::set<std::string> members_of(const json::object& object) {
  std::set<std::string> all;
  for (const auto& member : object) all.emplace(member.key().data(), member.key().size());
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(openapi)

BOOST_AUTO_TEST_CASE(every_route_is_described_and_every_description_is_a_route) {
  const auto program = routes_of_the_program();
  const auto description = routes_of_the_description(YAML::LoadFile(VOLCRYPT_OPENAPI));
  BOOST_TEST(program.size() >= 25u);
  BOOST_TEST(program == description, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_rendered_has_exactly_the_described_members) {
  const auto document = YAML::LoadFile(VOLCRYPT_OPENAPI);
  volumes::VolumeView view;
  view.description.emplace();
  const std::vector<std::pair<std::string, json::object>> rendered = {
      {"ClusterInfo", render(cluster::ClusterInfo{})},
      {"EncryptionState", render(cluster::ClusterInfo{}).at("encryptionState").as_object()},
      {"Rotation", render(cluster::RotationView{})},
      {"Volume", render(view)},
      {"Outcome", render(volumes::Outcome{})},
      {"BootState", render_boot_state({}, std::nullopt, nullptr)},
      {"BootReport", render(keys::BootReport{})},
      {"EnrolledNode", render(EnrolledNode{})},
      {"Store", render(StoreView{}, "")},
      {"StoreRequest", render(StoreRequest{})},
      {"SignedMembership", render(cluster::SignedMembership{})},
      {"Problem", json::parse(http::problem(400, "k", "m", "w").body).as_object()},
  };
  for (const auto& [name, object] : rendered) {
    std::set<std::string> required;
    const auto schema = document["components"]["schemas"][name];
    BOOST_REQUIRE_MESSAGE(schema, name);
    collect_required(document, schema, required);
    BOOST_TEST_CONTEXT(name) { BOOST_TEST(members_of(object) == required, boost::test_tools::per_element()); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(problems)

BOOST_AUTO_TEST_CASE(an_error_becomes_kind_message_and_way_out) {
  const auto response = http::problem(Error(errc::sealed_out, {"open", "generation 3", "Approve the boot state."}));
  BOOST_TEST(response.status == 503u);
  const auto body = json::parse(response.body);
  BOOST_TEST(body.at("error").at("kind").as_string() == "sealed_out");
  const std::string message(body.at("error").at("message").as_string().c_str());
  BOOST_TEST(message.rfind("cannot open generation 3: ", 0) == 0u);
  BOOST_TEST(message.find("Approve") == std::string::npos);
  BOOST_TEST(body.at("error").at("wayOut").as_string() == "Approve the boot state.");
}

BOOST_AUTO_TEST_CASE(causes_have_their_status) {
  for (const auto& [cause, status] : std::vector<std::pair<errc, unsigned>>{{errc::invalid_argument, 400},
                                                                            {errc::no_such_volume, 404},
                                                                            {errc::wrong_state, 409},
                                                                            {errc::device_busy, 409},
                                                                            {errc::device_not_blank, 409},
                                                                            {errc::limit_exceeded, 503},
                                                                            {errc::not_ours, 422},
                                                                            {errc::bad_signature, 422},
                                                                            {errc::unknown_outcome, 500},
                                                                            {errc::tpm_absent, 503},
                                                                            {errc::timed_out, 504}}) {
    BOOST_TEST(http::status_of(make_error_code(cause)) == status);
  }
  BOOST_TEST(http::status_of(errno_code(5)) == 500u);
}

BOOST_AUTO_TEST_CASE(a_full_queue_says_when_to_come_again_and_a_large_body_that_it_is_too_large) {
  const auto queue =
      http::problem(Error(errc::limit_exceeded, {"attach", "on worker devices", "Too many calls wait."}));
  BOOST_TEST(queue.status == 503u);
  BOOST_TEST(queue.retry_after > 0u);
  BOOST_TEST(json::parse(queue.body).at("error").at("kind").as_string() == "limit_exceeded");
  const auto connections = http::transport_problem(503, "too many connections at the same time");
  BOOST_TEST(connections.retry_after > 0u);
  const auto body = http::transport_problem(413, "the request's body is too long");
  BOOST_TEST(body.status == 413u);
  BOOST_TEST(body.retry_after == 0u);
  BOOST_TEST(http::problem(Error(errc::sealed_out, {"open", "it", ""})).retry_after == 0u);
}

BOOST_AUTO_TEST_CASE(a_defect_tells_nothing_of_itself) {
  const auto body = json::parse(http::internal_problem().body);
  BOOST_TEST(body.at("error").at("kind").as_string() == "internal");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(admission)

http::Peer caller(uid_t uid, std::vector<gid_t> groups) {
  http::Peer peer;
  peer.uid = uid;
  peer.pid = 1;
  peer.groups = std::move(groups);
  return peer;
}

BOOST_AUTO_TEST_CASE(root_and_the_group_are_admitted_and_others_are_told_the_way) {
  const std::optional<gid_t> group = 4242;
  BOOST_TEST(!refuse_stranger(caller(0, {0}), group));
  BOOST_TEST(!refuse_stranger(caller(0, {0}), std::nullopt));
  BOOST_TEST(!refuse_stranger(caller(1000, {1000, 27, 4242}), group));
  const auto refused = refuse_stranger(caller(1000, {1000, 27}), group);
  BOOST_REQUIRE(refused.has_value());
  BOOST_TEST(refused->status == 403u);
  BOOST_TEST(refused->body.find("usermod -a -G volcrypt") != std::string::npos);
  BOOST_TEST(refuse_stranger(caller(1000, {0}), std::nullopt).has_value());  // group root is not root
}

BOOST_AUTO_TEST_CASE(a_group_that_does_not_exist_has_no_id) {
  BOOST_TEST(!group_id("no-such-group-anywhere"));
  BOOST_TEST(group_id("root").value() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(documents)

BOOST_AUTO_TEST_CASE(status_document_before_init) {
  const auto info = render(cluster::ClusterInfo{});
  BOOST_TEST(info.at("cluster").is_null());
  BOOST_TEST(
      json::serialize(info.at("encryptionState")) ==
      R"({"state":"Disabled","featureFlag":false,"keyProtection":null,"currentKekGeneration":null,"previousKekGenerations":[],"rotationState":"NoRotation","distributingKekGeneration":null,"highestKekGenerationUsed":null})");
}

BOOST_AUTO_TEST_CASE(status_document_in_the_middle_of_a_rotation) {
  cluster::ClusterInfo info;
  info.encryption.phase = cluster::EncryptionPhase::Enabled;
  info.encryption.feature_flag = true;
  info.encryption.protection = keys::Protection::tpm;
  info.encryption.current = 5;
  info.encryption.previous = {2, 4};
  info.encryption.rotation = cluster::RotationPhase::EncryptingDEKs;
  info.encryption.highest_used = 5;
  BOOST_TEST(
      json::serialize(render(info).at("encryptionState")) ==
      R"({"state":"Enabled","featureFlag":true,"keyProtection":"tpm","currentKekGeneration":5,"previousKekGenerations":[2,4],"rotationState":"EncryptingDEKs","distributingKekGeneration":null,"highestKekGenerationUsed":5})");
}

BOOST_AUTO_TEST_CASE(a_failed_volume_tells_kind_and_message) {
  volumes::VolumeView view;
  view.record.name = "data1";
  view.record.generation = 2;
  view.condition = volumes::Condition::failed;
  view.failure = "cannot attach /dev/vdb: header changed";
  view.failure_kind = "header_changed";
  const auto object = render(view);
  BOOST_TEST(object.at("state").as_string() == "failed");
  BOOST_TEST(object.at("device").is_null());
  BOOST_TEST(json::serialize(object.at("failure")) ==
             R"({"kind":"header_changed","message":"cannot attach /dev/vdb: header changed"})");
}

BOOST_AUTO_TEST_CASE(a_volumes_owner_has_a_name_while_it_is_a_member) {
  volumes::VolumeView view;
  BOOST_TEST(render(view).at("ownerName").is_null());
  view.owner_name = "server2";
  BOOST_TEST(render(view).at("ownerName").as_string() == "server2");
  BOOST_TEST(render(view).at("owner").as_string() == Uuid().str());
}

BOOST_AUTO_TEST_CASE(an_enrolled_node_comes_back_as_it_was) {
  EnrolledNode node;
  node.name = "server1";
  node.tpm.emplace();
  node.tpm->storage_key = {1, 2, 3};
  node.tpm->maker = "IBM SW";
  node.software.protection = keys::Protection::software;
  node.software.storage_key = Bytes(65, 4);
  node.boot.pcrs = {0, 7};
  node.boot.values = {{0, Bytes(32, 1)}, {7, Bytes(32, 2)}};
  const EnrolledNode back = parse_enrolled_node(http::JsonObject(json::value(render(node)), "it"));
  BOOST_TEST(back.name == node.name);
  BOOST_REQUIRE(back.tpm.has_value());
  BOOST_TEST(back.tpm->storage_key == node.tpm->storage_key, boost::test_tools::per_element());
  BOOST_CHECK(back.software.protection == keys::Protection::software);
  BOOST_TEST(back.boot.pcrs == node.boot.pcrs, boost::test_tools::per_element());
  BOOST_CHECK(back.boot.values == node.boot.values);
  node.tpm.reset();
  BOOST_TEST(!parse_enrolled_node(http::JsonObject(json::value(render(node)), "it")).tpm);
}

BOOST_AUTO_TEST_CASE(a_signed_document_keeps_its_exact_bytes) {
  const cluster::SignedMembership membership{"{\"a\" : \"\\u00e4\\n\"}", {1, 2}};
  const auto back = parse_signed_membership(http::JsonObject(json::serialize(render(membership)), "it"));
  BOOST_TEST(back.document == membership.document);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(numbers_stand_in_the_text_with_bounded_labels) {
  runtime::Metrics metrics;
  metrics.set_volumes({{{"attached", 2}, 3}, {{"failed", 1}, 1}});
  metrics.set_volumes({{{"attached", 3}, 4}});
  metrics.add_unwraps(5);
  metrics.add_rewraps(4);
  metrics.observe_tpm("TPM2_HMAC", std::chrono::milliseconds(20));
  metrics.set_rotation("EncryptingDEKs");
  metrics.set_current_generation(3);
  metrics.add_error("sealed_out");
  metrics.add_error("sealed_out");
  const std::string text = metrics.text();
  for (const auto* line :
       {"volcrypt_volumes{generation=\"3\",state=\"attached\"} 4", "volcrypt_dek_unwraps_total 5",
        "volcrypt_dek_rewraps_total 4", "volcrypt_tpm_command_seconds_bucket{command=\"TPM2_HMAC\",le=\"0.03\"} 1",
        "volcrypt_tpm_command_seconds_bucket{command=\"TPM2_HMAC\",le=\"0.01\"} 0",
        "volcrypt_rotation_state{state=\"EncryptingDEKs\"} 1", "volcrypt_rotation_state{state=\"NoRotation\"} 0",
        "volcrypt_current_kek_generation 3", "volcrypt_errors_total{kind=\"sealed_out\"} 2"}) {
    BOOST_TEST_CONTEXT(line << "\n" << text) { BOOST_TEST(text.find(std::string(line) + "\n") != std::string::npos); }
  }
  BOOST_TEST(text.find("state=\"failed\"") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
