// Questions to the attach policy: a drive of this cluster, at its owner or elsewhere, and a check of refusals.
#pragma once

#include <boost/test/unit_test.hpp>

#include "agent/volumes/attach_policy.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::test::attaching {

using namespace volumes;

inline const Uuid our_cluster = Uuid::parse("11111111-1111-4111-8111-111111111111");
inline const Uuid other_cluster = Uuid::parse("22222222-2222-4222-8222-222222222222");
inline const Uuid node = Uuid::parse("33333333-3333-4333-8333-333333333333");
inline const Uuid other_node = Uuid::parse("44444444-4444-4444-8444-444444444444");
inline const Uuid volume = Uuid::parse("55555555-5555-4555-8555-555555555555");
inline const Uuid other_volume = Uuid::parse("66666666-6666-4666-8666-666666666666");
inline const Uuid group = Uuid::parse("77777777-7777-4777-8777-777777777777");

inline Sighting sighting(const std::string& device, dev_t number) {
  Sighting drive;
  drive.device = device;
  drive.number = number;
  drive.token.cluster = our_cluster;
  drive.token.group = group;
  drive.token.volume = volume;
  drive.token.name = "data1";
  drive.token.generation = 3;
  return drive;
}

inline cluster::VolumeRecord record() {
  cluster::VolumeRecord known;
  known.volume = volume;
  known.group = group;
  known.owner = node;
  known.name = "data1";
  known.generation = 3;
  return known;
}

inline dm::Mapping mapping(const std::string& name, const Uuid& of, dev_t under) {
  dm::Mapping live;
  live.name = name;
  live.uuid = dm::mapping_uuid(of, name);
  live.liveness = dm::Liveness::active;
  live.has_table = true;
  live.under = {under};
  return live;
}

inline AttachQuestion known_drive() {
  AttachQuestion question;
  question.cluster = our_cluster;
  question.node = node;
  question.drive = sighting("/dev/vdb", 10);
  question.record = record();
  question.held = {3};
  return question;
}

// Of the node "server2", which has said this.
inline AttachQuestion elsewhere(OwnerWord word) {
  AttachQuestion question = known_drive();
  question.record->owner = other_node;
  question.owner = {"server2", word, "The store does not answer."};
  return question;
}

inline void must_refuse(const AttachQuestion& question, errc cause) {
  const Decision decision = decide_attach(question);
  BOOST_TEST((decision.verdict == Verdict::refuse));
  BOOST_TEST(errc_name(make_error_code(decision.cause)) == errc_name(make_error_code(cause)));
  BOOST_TEST(!decision.reason.empty());
  BOOST_TEST(decision.way_out.back() == '.');
}

}  // namespace volcrypt::test::attaching
