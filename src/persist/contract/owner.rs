//! The part of the contract about who may write: claims, leases, epochs.

use std::time::Duration;

use super::{Harness, LEASE, OTHER, OWNER, WHOLE, apply, batch, claim, claimed, epoch_of, integers, put};
use crate::persist::store::{Applied, Claim, Claimed, Id, Lease, Tenure};
use crate::persist::told_epochs::ToldEpochs;

pub(in crate::persist) async fn another_epoch_is_fenced(harness: &impl Harness) {
    let store = harness.store();
    let old = claimed(store).await;
    apply(store, &batch(old, 1, vec![put("a", 1)])).await;
    harness.expire_lease().await;
    let new = epoch_of(store, &Claim { take_over: true, ..claim(OTHER) }).await.epoch;
    assert_eq!(store.apply(OWNER, &batch(old, 2, vec![put("a", 2)])).await, Ok(Applied::Fenced));
    assert_eq!(store.apply(OWNER, &batch(new, 2, vec![put("a", 2)])).await, Ok(Applied::Fenced));
    assert_eq!(store.apply(OTHER, &batch(old, 2, vec![put("a", 2)])).await, Ok(Applied::Fenced));
    assert_eq!(store.renew(old, OWNER, LEASE).await, Ok(Tenure::Fenced));
    assert_eq!(store.release(old, OWNER).await, Ok(Tenure::Fenced));
    assert_eq!(integers(store, &["a"]).await, [Some(1)]);
    assert_eq!(store.apply(OTHER, &batch(new, 2, vec![put("a", 5)])).await, Ok(WHOLE));
    assert_eq!(store.renew(new, OTHER, LEASE).await, Ok(Tenure::Kept));
    assert_eq!(integers(store, &["a"]).await, [Some(5)]);
}

/// A claim whose answer was lost is tried again, and may be committed meanwhile.
pub(in crate::persist) async fn a_claim_behind_another_epoch_changes_nothing(harness: &impl Harness) {
    let store = harness.store();
    let behind = |epoch| Claim { behind: Some(epoch), ..claim(OWNER) };
    let first = epoch_of(store, &behind(0)).await.epoch;
    for other in [0, first + 1] {
        assert_eq!(store.begin_epoch(&behind(other)).await, Ok(Claimed::Moved));
        assert_eq!(store.owner().await.unwrap().epoch, first);
    }
    assert_eq!(epoch_of(store, &behind(first)).await.epoch, first + 1);
}

pub(in crate::persist) async fn a_second_owner_is_refused(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    for claim in [
        claim(OTHER),
        Claim { take_over: true, ..claim(OTHER) },
        Claim { same_directory: true, ..claim(OTHER) },
    ] {
        let Claimed::Held { holder, lease_left } = store.begin_epoch(&claim).await.unwrap() else {
            panic!("a live lease is taken")
        };
        assert_eq!(holder, "pid 7 on host-1, data in /data");
        assert!(lease_left > Duration::ZERO && lease_left <= LEASE, "{lease_left:?}");
    }
    let row = store.owner().await.unwrap();
    assert_eq!((row.epoch, row.owner), (epoch, Some(OWNER)));
    apply(store, &batch(epoch, 1, Vec::new())).await;
}

pub(in crate::persist) async fn a_lease_is_taken_over_by_its_rules(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    harness.expire_lease().await;
    assert_eq!(store.owner().await.unwrap().lease, Lease::Expired);
    let holder = "pid 7 on host-1, data in /data".to_owned();
    assert_eq!(store.begin_epoch(&claim(OTHER)).await, Ok(Claimed::Expired { holder }));
    // Nobody took it, so it is still its owner's.
    assert_eq!(store.renew(epoch, OWNER, LEASE).await, Ok(Tenure::Kept));
    assert!(matches!(store.owner().await.unwrap().lease, Lease::Held(_)));
    harness.expire_lease().await;
    let same = epoch_of(store, &Claim { same_directory: true, ..claim(OTHER) }).await;
    assert_eq!(same.epoch, epoch + 1);
    harness.expire_lease().await;
    let taken = epoch_of(store, &Claim { take_over: true, ..claim(OWNER) }).await;
    assert_eq!((taken.epoch, taken.data_set), (epoch + 2, same.data_set));
    // The owner that is named is let in while its lease holds: its last claim's answer may have been lost.
    assert_eq!(epoch_of(store, &claim(OWNER)).await.epoch, epoch + 3);
}

pub(in crate::persist) async fn a_release_frees_the_truth(harness: &impl Harness) {
    let store = harness.store();
    assert_eq!(store.owner().await.unwrap().lease, Lease::Free);
    let epoch = claimed(store).await;
    assert_eq!(store.release(epoch, OWNER).await, Ok(Tenure::Kept));
    assert_eq!(store.owner().await.unwrap().lease, Lease::Free);
    assert_eq!(epoch_of(store, &claim(OTHER)).await.epoch, epoch + 1);
}

pub(in crate::persist) async fn another_data_set_is_refused(harness: &impl Harness) {
    let store = harness.store();
    let mine = Claim { data_set: Some(Id([9; 16])), ..claim(OWNER) };
    // A truth that was emptied by accident is not begun anew.
    assert_eq!(store.data_set().await, Ok(None));
    assert_eq!(store.begin_epoch(&mine).await, Ok(Claimed::WrongDataSet { found: None }));
    assert_eq!(store.owner().await.unwrap().data_set, None);
    let first = epoch_of(store, &claim(OWNER)).await;
    let found = Some(first.data_set);
    assert_eq!(store.begin_epoch(&mine).await, Ok(Claimed::WrongDataSet { found }));
    let known = Claim { data_set: found, ..claim(OWNER) };
    assert_eq!(epoch_of(store, &known).await.data_set, first.data_set);
    assert_eq!(store.data_set().await, Ok(found));
    assert_eq!(store.owner().await.unwrap().data_set, found);
}

pub(in crate::persist) async fn epochs_are_told(harness: &impl Harness) {
    let store = harness.store();
    assert_eq!(store.epochs().await, Ok(ToldEpochs::default()));
    let first = claimed(store).await;
    for seq in 1..=3 {
        apply(store, &batch(first, seq, Vec::new())).await;
    }
    for _ in 0..2 {
        claimed(store).await;
    }
    let told = store.epochs().await.unwrap();
    assert_eq!(told.refused, []);
    let told: Vec<_> = told.rows.iter().map(|row| (row.epoch, row.first_seq, row.last_seq)).collect();
    assert_eq!(told, [(3, 4, None), (2, 4, Some(3)), (1, 1, Some(3))]);
}
