// What each check of the KekStore conformance suite starts from: a node with its cluster, authority and recovery key.
#pragma once

#include <boost/test/unit_test.hpp>
#include <memory>

#include "agent/keys/authority.hpp"
#include "agent/keys/kek_files.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/kek_conformance.hpp"

namespace volcrypt::tests {

using namespace volcrypt::keys;

inline auto because(errc cause) {
  return [cause](const Error& e) {
    BOOST_TEST_MESSAGE(e.what());
    return e.code() == cause;
  };
}

// A node that has its approvals, and the administrators' keys.
struct Cluster {
  explicit Cluster(const KekNodeMaker& maker) : node(maker()) {
    store = node->open();
    identity = store->identity(request());
  }

  IdentityRequest request() const { return {authority.public_der(), cluster, node_id}; }
  Approvals approve(std::uint64_t epoch = 1) const {
    return approve_node(authority,
                        {identity, node_id, epoch, recovery.public_point(), node->pcrs(), node->boot_state_digest()});
  }
  void reopen() {
    store.reset();
    store = node->open();
  }
  Secret group_key(Generation generation, const Uuid& group) {
    return std::move(store->group_keys(generation, {group}).front());
  }
  // Replaces a stored blob as a disk or an attacker would who knows our file format.
  void put_blob(Generation generation, const Bytes& blob) {
    StoredKek kek = KekFiles(node->directory()).get(generation);
    kek.blob = blob;
    put(kek);
  }
  void put(const StoredKek& kek) {
    KeptFile(node->directory() / ("kek-" + std::to_string(kek.record.generation))).write(as_bytes(to_json(kek)));
    store->lock();  // a store may keep a loaded KEK
  }

  Uuid cluster = Uuid::random();
  Uuid node_id = Uuid::random();
  AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  std::unique_ptr<KekNode> node;
  std::unique_ptr<KekStore> store;
  NodeIdentity identity;
};

struct Adopted : Cluster {
  explicit Adopted(const KekNodeMaker& maker) : Cluster(maker) { store->adopt(approve()); }
};

// The checks of kek_travels.cpp.
void kek_travels_to_a_member_which_proves_it_and_seeds_the_next(const KekNodeMaker& maker);
void kek_goes_to_no_node_that_the_authority_did_not_approve_for_its_epoch(const KekNodeMaker& maker);
void kek_of_an_older_epoch_goes_to_who_is_approved_for_that(const KekNodeMaker& maker);
void kek_that_arrives_twice_is_one_and_another_of_its_number_is_refused(const KekNodeMaker& maker);
void kek_for_another_node_or_altered_anywhere_is_refused_and_leaves_nothing(const KekNodeMaker& maker);
void kek_of_another_cluster_is_refused(const KekNodeMaker& maker);
void kek_that_is_not_the_recorded_one_is_not_sent(const KekNodeMaker& maker);

// The checks of kek_join.cpp.
void node_proves_the_keys_it_claims(const KekNodeMaker& maker);
void proof_for_another_question_node_or_key_is_refused(const KekNodeMaker& maker);
void proof_or_question_that_was_altered_anywhere_is_refused(const KekNodeMaker& maker);

// The checks of kek_replaced_files.cpp.
void record_with_another_name_is_an_impostor(const KekNodeMaker& maker);
void blob_cut_or_changed_at_any_byte_is_refused_and_breaks_nothing_else(const KekNodeMaker& maker);
void blob_of_another_generation_under_this_number_is_refused(const KekNodeMaker& maker);
void generation_whose_proof_found_an_impostor_is_refused_until_a_proof_succeeds(const KekNodeMaker& maker);
void one_damaged_file_changes_nothing_and_two_are_told(const KekNodeMaker& maker);
void proved_group_keys_are_those_of_the_recorded_kek_alone(const KekNodeMaker& maker);

}  // namespace volcrypt::tests
