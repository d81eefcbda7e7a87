//! The part of the contract about which batches are applied: the chain, retries, merged batches, what contradicts it.

use super::{
    Harness, NOON, OWNER, apply, batch, claim, claimed, delete, epoch_of, fetched, integers, key, put,
};
use crate::engine::MissingKey;
use crate::persist::batch::Batch;
use crate::persist::record::Record;
use crate::persist::store::{Applied, RejectedRecord, StoreError};

const BEFORE: Applied = Applied::Before { rejected: Vec::new() };

pub(in crate::persist) async fn batches_form_a_chain(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    assert_eq!(
        store.apply(OWNER, &batch(epoch, 2, vec![put("a", 2)])).await,
        Ok(Applied::Gap { applied: 0 })
    );
    assert_eq!(integers(store, &["a"]).await, [None]);
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1)])).await;
    apply(store, &batch(epoch, 2, vec![put("a", 2)])).await;
    assert_eq!(store.apply(OWNER, &batch(epoch, 4, Vec::new())).await, Ok(Applied::Gap { applied: 2 }));
    assert_eq!(integers(store, &["b", "a", "c"]).await, [Some(1), Some(2), None]);
    assert_eq!(store.owner().await.unwrap().applied, 2);
    assert_eq!(store.count(NOON).await, Ok(2));
    // An epoch goes on where the one before ended.
    let next = epoch_of(store, &claim(OWNER)).await;
    assert_eq!((next.epoch, next.applied), (epoch + 1, 2));
    apply(store, &batch(next.epoch, 3, vec![put("a", 3)])).await;
    assert_eq!(integers(store, &["a"]).await, [Some(3)]);
}

pub(in crate::persist) async fn a_retry_is_harmless(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let first = batch(epoch, 1, vec![put("a", 1)]);
    apply(store, &first).await;
    assert_eq!(store.apply(OWNER, &first).await, Ok(BEFORE));
    apply(store, &batch(epoch, 2, vec![put("a", 2)])).await;
    assert_eq!(store.apply(OWNER, &first).await, Ok(BEFORE));
    assert_eq!(integers(store, &["a"]).await, [Some(2)]);
}

/// What was refused of a batch is told again, so that whoever lost the answer does not take it for kept.
pub(in crate::persist) async fn a_retry_tells_what_was_refused(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let long = "k".repeat(2_000);
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1), put("c", 1), put(&long, 1)])).await;
    for refused in ["b", &long] {
        harness.refuse_key(refused.as_bytes()).await;
    }
    let second = batch(epoch, 2, vec![put("a", 2), put("b", 2), put(&long, 2)]);
    let Ok(Applied::Whole { rejected }) = store.apply(OWNER, &second).await else {
        panic!("bad rows block the batch")
    };
    assert_eq!(keys(&rejected), ["b", &long]);
    let again = async |batch: &Batch| match store.apply(OWNER, batch).await {
        Ok(Applied::Before { mut rejected }) => {
            rejected.sort_by(|one, other| one.key.cmp(&other.key));
            rejected
        }
        other => panic!("a retry answers {other:?}"),
    };
    assert_eq!(again(&second).await, rejected);
    // As a part of what is sent next, whether that was applied or not.
    let third = batch(epoch, 3, vec![put("c", 3)]);
    apply(store, &third).await;
    assert_eq!(again(&second.clone().merge(third.clone())).await, rejected);
    assert_eq!(again(&third).await, []);
    // A merged batch refuses under its own number, and so for each of its parts.
    let parts = [batch(epoch, 4, vec![put("b", 4)]), batch(epoch, 5, vec![put("c", 5)])];
    let merged = Batch::merge_all(parts.clone()).unwrap();
    assert!(
        matches!(store.apply(OWNER, &merged).await, Ok(Applied::Whole { rejected }) if keys(&rejected) == ["b"])
    );
    for batch in [&merged, &parts[0], &parts[1]] {
        assert_eq!(keys(&again(batch).await), ["b"]);
    }
    // What is taken in the end is no longer refused.
    harness.accept_key(b"b").await;
    apply(store, &batch(epoch, 6, vec![put("b", 6)])).await;
    assert_eq!(again(&merged).await, []);
    assert_eq!(keys(&again(&second).await), [&*long]);
    assert_eq!(integers(store, &["a", "b", "c", &long]).await, [Some(2), Some(6), Some(5), Some(1)]);
    // Another epoch's numbers are others.
    let next = epoch_of(store, &claim(OWNER)).await.epoch;
    apply(store, &batch(next, 7, Vec::new())).await;
    assert_eq!(again(&batch(next, 7, Vec::new())).await, []);
}

pub(super) fn keys(rejected: &[RejectedRecord]) -> Vec<&str> {
    rejected.iter().map(|record| std::str::from_utf8(&record.key).unwrap()).collect()
}

pub(in crate::persist) async fn a_merged_batch_continues_where_its_parts_ended(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let other = |integer| Record { database: 1, ..put("d", integer) };
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1), put("c", 1), other(1)])).await;
    let flush = Batch { flushed_databases: vec![0], ..batch(epoch, 3, vec![put("b", 3), other(3)]) };
    let parts = [
        batch(epoch, 2, vec![put("a", 2), other(2)]),
        flush,
        batch(epoch, 4, vec![put("a", 4), delete("e")]),
    ];
    let merged = |from: usize| Batch::merge_all(parts[from..].iter().cloned()).unwrap();
    assert_eq!(store.apply(OWNER, &merged(1)).await, Ok(Applied::Gap { applied: 1 }), "3 to 4 lack 2");
    assert_eq!(integers(store, &["a", "b", "c"]).await, [Some(1), Some(1), Some(1)]);
    // An answer was lost, and the batch that was applied all the same is a part of what is sent next.
    apply(store, &parts[0]).await;
    assert_eq!(integers(store, &["a"]).await, [Some(2)]);
    apply(store, &merged(0)).await;
    for again in [merged(0), merged(1), merged(2), parts[0].clone()] {
        assert_eq!(store.apply(OWNER, &again).await, Ok(BEFORE));
    }
    assert_eq!(integers(store, &["a", "b", "c", "e"]).await, [Some(4), Some(3), None, None]);
    let found = fetched(store, &[MissingKey { database: 1, ..key("d") }], NOON).await;
    assert_eq!(found, [other(3).value]);
    assert_eq!(store.owner().await.unwrap().applied, 4);
    // With all of its parts still to come, and with all but the last behind.
    let next = |seq| batch(epoch, seq, vec![put("a", i64::try_from(seq).unwrap())]);
    apply(store, &next(5).merge(next(6))).await;
    apply(store, &next(7)).await;
    apply(store, &next(6).merge(next(7)).merge(next(8))).await;
    assert_eq!(integers(store, &["a"]).await, [Some(8)]);
    let beyond = next(10).merge(next(11));
    assert_eq!(store.apply(OWNER, &beyond).await, Ok(Applied::Gap { applied: 8 }));
    for (first_seq, seq) in [(0, 9), (10, 9)] {
        let wrong = Batch { first_seq, ..next(seq) };
        assert!(matches!(store.apply(OWNER, &wrong).await, Err(StoreError::Denied(_))), "{first_seq}");
    }
    assert_eq!(store.owner().await.unwrap().applied, 8);
}

pub(in crate::persist) async fn a_newer_row_stops_the_batch(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1)])).await;
    harness.make_newer(b"b").await;
    let stopped = store.apply(OWNER, &batch(epoch, 2, vec![put("a", 2), put("b", 2), put("c", 2)])).await;
    let Err(StoreError::Damaged(reason)) = stopped else { panic!("a newer row is no error: {stopped:?}") };
    assert!(reason.contains("1 rows are newer than batch 2"), "{reason}");
    assert_eq!(store.owner().await.unwrap().applied, 1);
    assert_eq!(integers(store, &["a", "b", "c"]).await, [Some(1), Some(1), None]);
}

pub(in crate::persist) async fn an_unsorted_batch_is_refused(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let mut unsorted = batch(epoch, 1, vec![put("a", 1), put("b", 1)]);
    unsorted.records = vec![put("b", 1), put("a", 1)].into();
    let Err(StoreError::Denied(reason)) = store.apply(OWNER, &unsorted).await else {
        panic!("an unsorted batch is applied")
    };
    assert!(reason.contains("not in the order"), "{reason}");
    assert_eq!(store.owner().await.unwrap().applied, 0);
}
