//! The part of the contract about what was refused in epochs that are over.

use super::chain::keys;
use super::closed::closed;
use super::{Harness, NOON, OWNER, batch, claimed, put};
use crate::persist::batch::Batch;
use crate::persist::store::{Applied, Store};

fn put_all(epoch: u64, seq: u64, keys: &[&str]) -> Batch {
    batch(epoch, seq, keys.iter().map(|key| put(key, 1)).collect())
}

/// Applies a batch of which these keys are refused.
async fn apply(store: &dyn Store, batch: Batch, expected: &[&str]) {
    match store.apply(OWNER, &batch).await {
        Ok(Applied::Whole { rejected }) => assert_eq!(keys(&rejected), expected, "batch {}", batch.seq),
        other => panic!("batch {} is answered {other:?}", batch.seq),
    }
}

/// Epoch, first number and last of what was refused for good.
async fn told(store: &dyn Store) -> Vec<(u64, u64, u64)> {
    let refused = store.epochs().await.unwrap().refused.into_iter();
    refused.map(|found| (found.epoch, found.first_seq, found.last_seq)).collect()
}

/// When an epoch ends, what was refused in it is lost, unless it was taken before that.
pub(in crate::persist) async fn an_ended_epoch_keeps_what_was_refused(harness: &impl Harness) {
    let store = harness.store();
    let one = claimed(store).await;
    apply(store, put_all(one, 1, &["a", "b", "c", "d", "e"]), &[]).await;
    for key in ["b", "c", "d", "e"] {
        harness.refuse_key(key.as_bytes()).await;
    }
    // `b` is taken in the end; `c` is refused in two batches, of which the first was merged; `d` is flushed; `e` is taken between.
    apply(store, put_all(one, 2, &["b", "e"]), &["b", "e"]).await;
    apply(store, put_all(one, 3, &["c"]).merge(put_all(one, 4, &["a"])), &["c"]).await;
    harness.accept_key(b"e").await;
    apply(store, put_all(one, 5, &["e"]), &[]).await;
    harness.refuse_key(b"e").await;
    apply(store, put_all(one, 6, &["e", "c"]), &["c", "e"]).await;
    harness.accept_key(b"b").await;
    apply(store, put_all(one, 7, &["b"]), &[]).await;
    assert_eq!(told(store).await, [], "it is not over yet");
    let two = claimed(store).await;
    assert_eq!(told(store).await, [(1, 6, 6), (1, 3, 4)]);
    // What is taken now was made without what was lost.
    harness.accept_key(b"e").await;
    apply(store, put_all(two, 8, &["d", "e", "c"]), &["c", "d"]).await;
    harness.accept_key(b"c").await;
    apply(store, put_all(two, 9, &["c"]), &[]).await;
    apply(store, Batch { flushed_databases: vec![0], ..put_all(two, 10, &[]) }, &[]).await;
    apply(store, put_all(two, 11, &["d"]), &["d"]).await;
    let three = claimed(store).await;
    assert_eq!(told(store).await, [(2, 11, 11), (1, 6, 6), (1, 3, 4)]);
    claimed(store).await;
    assert_eq!(told(store).await.len(), 3, "epoch {three} had none");
}

/// On a store that drops rows of the key `bad`, and closed periods of that subject, without a word.
pub(in crate::persist) async fn dropped_rows_block_nobody(store: &dyn Store) {
    let epoch = claimed(store).await;
    let closed_periods = ["a", "bad", "c"].map(|subject| closed(subject, "BUDGET 9 PER HOUR", 3, 5)).to_vec();
    let first = Batch { closed_periods, ..put_all(epoch, 1, &["a", "bad", "c"]) };
    let Ok(Applied::Whole { rejected }) = store.apply(OWNER, &first).await else {
        panic!("a dropped row blocks the batch")
    };
    assert_eq!(keys(&rejected), ["bad", "bad"]);
    assert!(rejected.iter().all(|record| record.reason.contains("without a word")), "{rejected:?}");
    assert_eq!(rejected.iter().filter(|record| record.period.is_some()).count(), 1);
    apply(store, put_all(epoch, 2, &["a", "c"]), &[]).await;
    assert_eq!(store.count(NOON).await, Ok(2));
}

/// `undo` takes the migration back that has brought the table of refused batches.
pub(in crate::persist) async fn refusals_are_kept_by_a_migration(
    harness: &impl Harness,
    undo: impl Future<Output = ()>,
) {
    let store = harness.store();
    let one = claimed(store).await;
    apply(store, put_all(one, 1, &["a", "b", "c"]), &[]).await;
    harness.refuse_key(b"b").await;
    apply(store, put_all(one, 2, &["b"]), &["b"]).await;
    let two = claimed(store).await;
    apply(store, put_all(two, 3, &["c"]), &[]).await;
    let three = claimed(store).await;
    harness.refuse_key(b"c").await;
    apply(store, put_all(three, 4, &["a"]), &[]).await;
    apply(store, put_all(three, 5, &["c"]), &["c"]).await;
    harness.accept_key(b"c").await;
    apply(store, put_all(three, 6, &["c"]), &[]).await;
    harness.accept_key(b"b").await;
    apply(store, put_all(three, 7, &["b"]), &[]).await;
    undo.await;
    assert_eq!(
        store.migrate(false).await.unwrap(),
        ["0002 refused_batches", "0003 snapshots", "0004 refused_periods"]
    );
    assert_eq!(told(store).await, [(1, 1, 2)], "b was taken when it was lost already, c before");
    harness.refuse_key(b"a").await;
    apply(store, put_all(three, 8, &["a"]), &["a"]).await;
    claimed(store).await;
    assert_eq!(told(store).await, [(3, 8, 8), (1, 1, 2)]);
}
