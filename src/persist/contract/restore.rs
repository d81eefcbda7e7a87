//! What snapshots need of a truth: rows by their batches, and an empty truth to fill.

use super::*;
use crate::persist::store::{EpochRow, Lease, Restore, Restoring, Tenure, Written};

const DATA: Id = Id([5; 16]);

fn restore(replace: bool) -> Restore {
    let holder = "a restore".to_owned();
    Restore { epoch: 8, restored_epoch: 3, applied: 40, owner: OTHER, holder, lease: LEASE, replace }
}

/// All rows of a kind, page by page, with their values.
async fn written(store: &dyn Store, written: Written) -> Vec<(String, bool)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan_written(written, after.as_ref(), 2, NOON).await.unwrap();
        let told = page.records.iter();
        found.extend(
            told.map(|record| (String::from_utf8_lossy(&record.key).into_owned(), record.value.is_some())),
        );
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

pub(in crate::persist) async fn rows_are_told_by_their_batches(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let expiry = Expiry::at_millis(NOON.as_millis());
    let expired = record("e", Some(StoredValue { content: Content::Integer(1), expiry }));
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1), put("c", 1), put("d", 1)])).await;
    apply(store, &batch(epoch, 2, vec![put("b", 2), delete("c"), expired])).await;
    let flush = Batch { flushed_databases: vec![3], ..batch(epoch, 3, vec![put("d", 3)]) };
    apply(store, &flush).await;
    assert_eq!(store.flushed().await, Ok(vec![(3, 3)]));
    let check = async |behind, up_to, with_gone, expected: &[(&str, bool)]| {
        let found = written(store, Written { behind, up_to, with_gone }).await;
        let found: Vec<_> = found.iter().map(|(key, lives)| (&**key, *lives)).collect();
        assert_eq!(found, expected, "{behind} {up_to} {with_gone}");
    };
    check(0, u64::MAX >> 1, false, &[("a", true), ("b", true), ("d", true)]).await;
    check(1, u64::MAX >> 1, true, &[("b", true), ("c", false), ("d", true), ("e", false)]).await;
    check(1, 2, true, &[("b", true), ("c", false), ("e", false)]).await;
    check(0, 1, false, &[("a", true)]).await;
    check(3, 3, true, &[]).await;
}

pub(in crate::persist) async fn what_was_pruned_is_noted(harness: &impl Harness) {
    let store = harness.store();
    claimed(store).await;
    assert_eq!(store.pruned().await, Ok(0));
    store.note_pruned(7).await.unwrap();
    store.note_pruned(5).await.unwrap();
    assert_eq!(store.pruned().await, Ok(7), "what is gone does not come back");
}

pub(in crate::persist) async fn a_restore_fills_an_empty_truth(harness: &impl Harness) {
    let store = harness.store();
    let restore = restore(false);
    assert_eq!(store.begin_restore(&restore).await, Ok(Restoring::Begun));
    assert_eq!(store.begin_restore(&restore).await, Ok(Restoring::Begun), "an answer may be lost");
    let held = store.begin_epoch(&claim(OWNER)).await.unwrap();
    assert!(matches!(held, Claimed::Held { .. }), "nobody starts on half a truth: {held:?}");
    for seq in [41, 42] {
        let batch = batch(8, seq, vec![put(format!("key:{seq}"), 1)]);
        assert_eq!(store.apply(OTHER, &batch).await, Ok(WHOLE));
    }
    harness.expire_lease().await;
    for take_over in [false, true] {
        let half = store.begin_epoch(&Claim { take_over, ..claim(OWNER) }).await.unwrap();
        assert!(matches!(half, Claimed::HalfRestored { .. }), "nor when the restore was killed: {half:?}");
    }
    assert_eq!(store.end_restore(7, OTHER, DATA).await, Ok(Tenure::Fenced));
    assert_eq!(store.end_restore(8, OTHER, DATA).await, Ok(Tenure::Kept));
    let row = store.owner().await.unwrap();
    assert_eq!((row.data_set, row.epoch, row.applied, row.lease), (Some(DATA), 8, 42, Lease::Free));
    let epochs = store.epochs().await.unwrap();
    let told = |row: &EpochRow| (row.epoch, row.first_seq, row.last_seq);
    assert_eq!(epochs.rows.iter().map(told).collect::<Vec<_>>(), [(8, 41, None), (3, 1, Some(40))]);
    let epoch = epoch_of(store, &claim(OWNER)).await;
    assert_eq!((epoch.data_set, epoch.epoch, epoch.applied), (DATA, 9, 42));
    assert_eq!(store.count(NOON).await, Ok(2));
}

pub(in crate::persist) async fn a_restore_spares_what_is_there(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let flush = Batch { flushed_databases: vec![3], ..batch(epoch, 1, vec![put("a", 1)]) };
    apply(store, &flush).await;
    let held = store.begin_restore(&restore(true)).await.unwrap();
    assert!(matches!(held, Restoring::Held { .. }), "a server runs on it: {held:?}");
    store.release(epoch, OWNER).await.unwrap();
    let data_set = store.owner().await.unwrap().data_set;
    assert_eq!(store.begin_restore(&restore(false)).await, Ok(Restoring::NotEmpty { data_set, rows: 1 }));
    assert_eq!(integers(store, &["a"]).await, [Some(1)]);
    store.note_pruned(1).await.unwrap();
    assert_eq!(store.begin_restore(&restore(true)).await, Ok(Restoring::Begun));
    assert_eq!(store.count(NOON).await, Ok(0));
    assert_eq!(store.pruned().await, Ok(40), "nothing is known of what was deleted before");
    assert_eq!(store.flushed().await, Ok(Vec::new()));
}
