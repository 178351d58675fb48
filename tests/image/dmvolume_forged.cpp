// Headers that somebody edited, with right checksums: each is refused, and the drive is not written to. FAILURES.md
// section F: CVE-2021-4122 (a forged re-encryption makes the next unlock decrypt in place), look-alike volumes.
// dmtarget knows no cluster and no generations, so two forgeries pass here and are refused by the agent: a token of
// another cluster (volumes_attach.cpp, keys_dek_wrap.cpp), and a header replayed after its generation was retired
// (volumes_rewrap.cpp, volumes_policy.cpp).
#define BOOST_TEST_DYN_LINK
#include <boost/json.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <functional>

#include "dmtarget/error.hpp"
#include "dmtarget/luks.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volume_image.hpp"
#include "tests/support/with_errc.hpp"

namespace volcrypt::test {
namespace {

namespace json = boost::json;

struct Forgery {
  const char* name;
  errc refusal;
  std::function<void(json::object&)> edit;
};

std::ostream& operator<<(std::ostream& out, const Forgery& forgery) { return out << forgery.name; }

json::object& segment(json::object& metadata) { return metadata["segments"].as_object()["0"].as_object(); }
json::object& digest(json::object& metadata) { return metadata["digests"].as_object()["0"].as_object(); }
json::object& config(json::object& metadata) { return metadata["config"].as_object(); }
json::object& tokens(json::object& metadata) { return metadata["tokens"].as_object(); }
json::object& token(json::object& metadata) { return tokens(metadata)["0"].as_object(); }
json::object& described(json::object& metadata) { return token(metadata)["description"].as_object(); }

// A keyslot with which somebody who knows the passphrase, but not the KEK, would get in; valid for LUKS2.
json::value keyslot() {
  return json::parse(R"({"type":"luks2","key_size":64,"af":{"type":"luks1","stripes":4000,"hash":"sha256"},
    "area":{"type":"raw","offset":"32768","size":"258048","encryption":"aes-xts-plain64","key_size":64},
    "kdf":{"type":"pbkdf2","hash":"sha256","iterations":1000,"salt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}})");
}

void require(json::object& metadata, json::array requirements) {
  config(metadata)["requirements"] = json::object{{"mandatory", std::move(requirements)}};
}

const Forgery forgeries[] = {
    {"cipher changed", errc::header_changed, [](auto& m) { segment(m)["encryption"] = "aes-cbc-essiv:sha256"; }},
    {"cipher changed in header and token", errc::header_changed,
     [](auto& m) { segment(m)["encryption"] = described(m)["cipher"] = "aes-cbc-essiv:sha256"; }},
    {"null cipher in header and token", errc::header_changed,
     [](auto& m) { segment(m)["encryption"] = described(m)["cipher"] = "cipher_null-ecb"; }},
    {"data offset changed", errc::header_changed, [](auto& m) { segment(m)["offset"] = "3145728"; }},
    {"sector size changed", errc::header_changed, [](auto& m) { segment(m)["sector_size"] = 512; }},
    {"IV offset added", errc::header_changed, [](auto& m) { segment(m)["iv_tweak"] = "8"; }},
    {"segment cut short", errc::header_changed, [](auto& m) { segment(m)["size"] = "1048576"; }},
    {"integrity section added", errc::header_changed,
     [](auto& m) {
       segment(m)["integrity"] =
           json::object{{"type", "hmac(sha256)"}, {"journal_encryption", "none"}, {"journal_integrity", "none"}};
     }},
    {"segment made linear (no encryption)", errc::header_changed,
     [](auto& m) {
       segment(m) = {{"type", "linear"}, {"offset", "2097152"}, {"size", "dynamic"}};
     }},
    {"segment added", errc::header_changed,
     [](auto& m) {
       segment(m)["size"] = "1048576";
       json::object second = segment(m);
       second["offset"] = "3145728";
       second["size"] = "dynamic";
       second["iv_tweak"] = "2048";
       m["segments"].as_object()["1"] = second;
       digest(m)["segments"].as_array().emplace_back("1");
     }},
    {"segment removed", errc::header_changed,
     [](auto& m) {
       m["segments"].as_object().clear();
       digest(m)["segments"].as_array().clear();
     }},
    {"online re-encryption flag set", errc::header_changed, [](auto& m) { require(m, {"online-reencrypt"}); }},
    {"online re-encryption flag of version 2 set", errc::header_changed,
     [](auto& m) { require(m, {"online-reencrypt-v2"}); }},
    {"offline re-encryption flag set", errc::header_changed, [](auto& m) { require(m, {"offline-reencrypt"}); }},
    {"re-encryption claimed by header and token", errc::header_changed,
     [](auto& m) {
       require(m, {"online-reencrypt-v2"});
       described(m)["reencrypting"] = true;
     }},
    {"unknown requirement", errc::header_changed, [](auto& m) { require(m, {"something-from-the-future"}); }},
    {"persistent flag added", errc::header_changed,
     [](auto& m) { config(m)["flags"] = json::array{"allow-discards"}; }},
    {"keyslot added", errc::header_changed, [](auto& m) { m["keyslots"].as_object()["0"] = keyslot(); }},
    {"keyslot added and bound to the digest", errc::header_changed,
     [](auto& m) {
       m["keyslots"].as_object()["0"] = keyslot();
       digest(m)["keyslots"] = json::array{"0"};
     }},
    {"digest added", errc::header_changed,
     [](auto& m) {
       json::object second = digest(m);
       second["segments"] = json::array{};
       m["digests"].as_object()["1"] = second;
     }},
    {"digest with hours of iterations", errc::header_changed, [](auto& m) { digest(m)["iterations"] = 2147483647; }},
    {"digest with hours of iterations in another spelling", errc::header_changed,
     [](auto& m) { digest(m)["iterations"] = 4e9; }},
    {"digest with more iterations than fit", errc::header_changed,
     [](auto& m) { digest(m)["iterations"] = std::uint64_t{1} << 63 | 4000000000U; }},
    {"digest with hours of iterations as text", errc::header_changed,
     [](auto& m) { digest(m)["iterations"] = "4000000000"; }},
    {"digest with no iterations", errc::header_changed, [](auto& m) { digest(m)["iterations"] = 0; }},
    {"digest with another hash", errc::header_changed, [](auto& m) { digest(m)["hash"] = "sha1"; }},
    {"two volcrypt tokens", errc::header_changed, [](auto& m) { tokens(m)["1"] = token(m); }},
    {"a token of another kind added", errc::header_changed,
     [](auto& m) {
       tokens(m)["1"] = json::object{{"type", "systemd-tpm2"}, {"keyslots", json::array{}}};
     }},
    {"token removed", errc::not_ours, [](auto& m) { tokens(m).clear(); }},
    {"token of another kind only", errc::not_ours, [](auto& m) { token(m)["type"] = "systemd-tpm2"; }},
    {"token of another volume", errc::header_changed,
     [](auto& m) { token(m)["volume"] = "11111111-2222-4333-8444-555555555555"; }},
    {"token under another name", errc::header_changed, [](auto& m) { token(m)["name"] = "other"; }},
    {"token with a member too many", errc::token_malformed, [](auto& m) { token(m)["extra"] = 1; }},
    {"token of an unknown version", errc::token_version, [](auto& m) { token(m)["version"] = 2; }},
    {"token bound to a keyslot that is not there", errc::header_changed,
     [](auto& m) { token(m)["keyslots"] = json::array{"0"}; }},
    {"description with another offset", errc::header_changed, [](auto& m) { described(m)["data_offset"] = "3145728"; }},
    {"description with another key size", errc::header_changed, [](auto& m) { described(m)["key_bytes"] = 32; }},
    {"an unknown top-level member", errc::header_changed, [](auto& m) { m["extra"] = json::object{}; }},
    {"keyslot area outside of the device", errc::header_changed,
     [](auto& m) { config(m)["keyslots_size"] = "1099511627776"; }},
    {"metadata that is not of LUKS2", errc::header_changed,
     [](auto& m) {
       m["digests"] = json::array{1, 2, 3};
     }},
};

// The whole way that attach goes before it activates. The refusal may come at either step.
void open_and_check(const std::string& file) { dm::LuksHeader::open(file).check_description(); }

void check_refused_unwritten(const VolumeImage& image, errc refusal) {
  Bytes before = content_of(image.file);
  BOOST_CHECK_EXCEPTION(open_and_check(image.file), Error, [&](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    // The parsers of the token come before the comparison of token and header.
    return error.code() == refusal || (refusal == errc::header_changed && error.code() == errc::token_malformed);
  });
  BOOST_TEST((content_of(image.file) == before));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(forged_headers)

BOOST_DATA_TEST_CASE(a_forged_header_is_refused_and_nothing_is_written, boost::unit_test::data::make(forgeries)) {
  VolumeImage image;
  edit_metadata(image.file, sample.edit);
  check_refused_unwritten(image, sample.refusal);
}

BOOST_AUTO_TEST_CASE(an_edit_that_changes_nothing_is_accepted) {  // or the test above would pass for a wrong reason
  VolumeImage image;
  edit_metadata(image.file, [](json::object&) {});
  BOOST_CHECK_NO_THROW(open_and_check(image.file));
}

BOOST_AUTO_TEST_CASE(a_changed_label_is_refused) {
  for (const char* label : {"", "volcrypt:other", "volcrypt:", "data", "volcrypt:data "}) {
    VolumeImage image;
    edit_field(image.file, Field::label, label);
    check_refused_unwritten(image, errc::header_changed);
  }
}

BOOST_AUTO_TEST_CASE(a_changed_uuid_is_refused) {
  for (const char* uuid : {"11111111-2222-4333-8444-555555555555", "", "not a uuid"}) {
    VolumeImage image;
    edit_field(image.file, Field::uuid, uuid);
    check_refused_unwritten(image, errc::header_changed);
  }
}

BOOST_AUTO_TEST_CASE(another_subsystem_is_not_ours) {
  VolumeImage image;
  edit_field(image.file, Field::subsystem, "other");
  check_refused_unwritten(image, errc::not_ours);
}

BOOST_AUTO_TEST_CASE(the_token_of_another_drive_of_the_cluster_is_refused) {
  VolumeImage image, other;
  json::object foreign = token(*std::make_unique<json::object>(metadata_of(other.file)));
  edit_metadata(image.file, [&foreign](json::object& metadata) { token(metadata) = foreign; });
  check_refused_unwritten(image, errc::header_changed);
}

BOOST_AUTO_TEST_CASE(a_look_alike_with_the_same_uuid_and_name_has_another_key) {
  // sdbootutil#195: identity is proven by the key behind the token, which the digest binds to this header.
  VolumeImage image;
  ScratchDirectory directory;
  std::string look_alike = directory.path("look-alike.img");
  make_blank_image(look_alike);
  dm::LuksHeader::format(look_alike, image.token, Secret::random(volume_key_size));
  dm::LuksHeader header = dm::LuksHeader::open(look_alike);
  header.check_description();
  BOOST_CHECK_EXCEPTION(header.verify_volume_key(image.key), Error, with(errc::wrong_key));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
