//! What is pushed is taken once, in its order, wherever it lies.

use super::*;
use crate::engine::Expiry;
use crate::engine::value::{Content, Text};
use crate::persist::contract::{batch, put, record};
use crate::persist::record::StoredValue;

fn taken(pending: &Pending) -> Option<(u64, u64)> {
    match pending.take() {
        Some(Next::Batch(batch)) => Some((batch.first_seq, batch.seq)),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Three fit, and two are not crowded.
fn large(seq: u64, key: &str) -> Batch {
    let content = Content::Text(Text::new(&vec![b'x'; CROWDED_BYTES / 2 - 1_000]));
    batch(1, seq, vec![record(key, Some(StoredValue { content, expiry: Expiry::NEVER }))])
}

#[test]
fn batches_that_wait_are_merged() {
    let pending = Pending::default();
    assert!(taken(&pending).is_none());
    (1..=3).for_each(|seq| pending.push(batch(1, seq, vec![put("a", 1)]), true));
    assert_eq!(taken(&pending), Some((1, 3)));
    assert!(pending.is_empty());
    pending.close();
    assert!(matches!(pending.take(), Some(Next::End)));
}

#[tokio::test]
async fn what_is_not_to_be_put_off_is_told() {
    let pending = Pending::default();
    let check = async |press: &dyn Fn()| {
        let pressing = async { press() };
        tokio::join!(biased; pending.wait_pressing(), pressing);
        pending.wait_pressing().await;
    };
    check(&|| pending.push(batch(1, 1, vec![put("a", 1)]), false)).await;
    pending.push(batch(1, 2, vec![put("a", 1)]), true);
    assert!(taken(&pending).is_some() && !pending.state.lock().is_pressing());
    check(&|| pending.look_back()).await;
    assert!(matches!(pending.take(), Some(Next::Lost)));
    check(&|| (3..=8).for_each(|seq| pending.push(large(seq, &seq.to_string()), true))).await;
    pending.leave_to_outbox();
    assert!(pending.rejoin(8) && !pending.state.lock().is_pressing());
    check(&|| pending.close()).await;
}

#[test]
fn too_many_rows_are_not_merged() {
    let pending = Pending::default();
    let rows = |count: usize| (0..count).map(|at| put(format!("{at:06}"), 1)).collect::<Vec<_>>();
    pending.push(batch(1, 1, rows(MOST_MERGED_ROWS - 1)), false);
    pending.push(batch(1, 2, rows(1)), false);
    pending.push(batch(1, 3, rows(MOST_MERGED_ROWS + 1)), false);
    assert_eq!(taken(&pending), Some((1, 2)));
    assert_eq!(taken(&pending), Some((3, 3)));
}

#[test]
fn what_has_no_room_is_left_to_the_outbox_and_the_queue_is_joined_again() {
    let pending = Pending::default();
    for (seq, key) in (1..).zip(["a", "b", "c", "d", "e"]) {
        pending.push(large(seq, key), true);
    }
    assert_eq!(taken(&pending), Some((1, 4)));
    assert!(matches!(pending.take(), Some(Next::Spilled)));
    pending.push(batch(1, 6, Vec::new()), true);
    assert!(!pending.rejoin(5));
    assert!(matches!(pending.take(), Some(Next::Spilled)));
    assert!(pending.rejoin(6));
    pending.push(batch(1, 7, Vec::new()), true);
    assert_eq!(taken(&pending), Some((7, 7)));
}

/// The disk takes nothing more when batches that lie only on it have not been read yet.
#[test]
fn what_is_on_no_disk_comes_behind_what_was_left_to_it() {
    let pending = Pending::default();
    (1..=5).for_each(|seq| pending.push(large(seq, &seq.to_string()), true));
    pending.push(batch(1, 6, Vec::new()), false);
    assert_eq!(taken(&pending), Some((1, 4)));
    // It is not merged behind what could not be applied, either.
    assert!(pending.take_more(&batch(1, 4, Vec::new())).is_none());
    assert!(matches!(pending.take(), Some(Next::Spilled)));
    assert!(pending.rejoin(5));
    assert_eq!(taken(&pending), Some((6, 6)));
    assert!(pending.is_empty());
}

#[test]
fn what_is_on_no_disk_is_not_left_to_it() {
    let pending = Pending::default();
    (1..=2).for_each(|seq| pending.push(batch(1, seq, Vec::new()), true));
    pending.push(batch(1, 3, Vec::new()), false);
    pending.leave_to_outbox();
    assert!(matches!(pending.take(), Some(Next::Spilled)));
    // The disk takes it at last, while what lies there is read: it is read too, or lies here.
    pending.note_kept(3);
    assert!(!pending.rejoin(2));
    assert!(pending.rejoin(3) && pending.is_empty());
    pending.push(batch(1, 4, Vec::new()), false);
    pending.note_kept(4);
    assert_eq!(taken(&pending), Some((4, 4)));
    pending.push(batch(1, 5, Vec::new()), false);
    assert_eq!(taken(&pending), Some((5, 5)));
    pending.note_kept(5);
    assert!(pending.is_empty());
}

#[test]
fn too_many_bytes_are_not_merged() {
    let pending = Pending::default();
    let half = MOST_MERGED_BYTES / (CROWDED_BYTES / 2) + 1;
    let batches = u64::try_from(half).unwrap();
    (1..=batches).for_each(|seq| pending.push(large(seq, &seq.to_string()), false));
    assert_eq!(taken(&pending), Some((1, batches - 1)));
    assert_eq!(taken(&pending), Some((batches, batches)));
}

#[test]
fn what_is_not_on_disk_stays_in_memory() {
    let pending = Pending::default();
    (1..=6).for_each(|seq| pending.push(large(seq, &seq.to_string()), false));
    assert_eq!(taken(&pending), Some((1, 6)));
}

#[tokio::test]
async fn what_changes_again_and_again_needs_no_more_room() {
    let pending = Pending::default();
    for seq in 1..=20 {
        pending.push(large(seq, "a"), true);
        pending.merge_waiting().await;
    }
    assert_eq!(taken(&pending), Some((1, 20)));
    assert!(pending.is_empty());
    assert_eq!(pending.state.lock().bytes, 0);
}

#[test]
fn what_is_forgotten_while_it_is_merged_stays_so() {
    let pending = Pending::default();
    (1..=3).for_each(|seq| pending.push(large(seq, "a"), true));
    let Waiting { batches, bytes, forgotten } = pending.begin_merging().unwrap();
    assert!(pending.take().is_none(), "nothing is taken meanwhile");
    pending.leave_to_outbox();
    let merged = Batch::merge_all(batches.into_iter().map(|(batch, _)| batch)).unwrap();
    pending.end_merging(merged, bytes, forgotten);
    assert!(matches!(pending.take(), Some(Next::Spilled)));
    assert!(pending.rejoin(3) && pending.is_empty());
}

/// Pushed, merged and taken by three at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn each_batch_is_taken_once_in_its_order() {
    const BATCHES: u64 = 400;
    let pending = std::sync::Arc::new(Pending::default());
    let keeper = std::sync::Arc::clone(&pending);
    let merging = tokio::spawn(async move { keeper.keep_merged().await });
    let pusher = std::sync::Arc::clone(&pending);
    let pushing = tokio::spawn(async move {
        for seq in 1..=BATCHES {
            // Nothing is to be left to an outbox, which is not there.
            while pusher.state.lock().bytes > MOST_BYTES / 2 {
                tokio::task::yield_now().await;
            }
            pusher.push(large(seq, if seq % 3 == 0 { "a" } else { "b" }), true);
            tokio::task::yield_now().await;
        }
        pusher.close();
    });
    let mut last = 0;
    while let Next::Batch(batch) = pending.next().await {
        assert_eq!(batch.first_seq, last + 1);
        last = batch.seq;
    }
    assert_eq!(last, BATCHES);
    pushing.await.unwrap();
    merging.abort();
}

/// While an outbox is read, a compaction may end: the next batch then covers some that were read a moment ago.
#[test]
fn what_was_compacted_while_it_was_read_is_merged_once() {
    let stored = |batch: Batch| Ok(Stored { first_seq: batch.first_seq, batch });
    let one = |seq| batch(1, seq, vec![put("a", i64::try_from(seq).unwrap())]);
    let compacted = || Batch::merge_all((2..=5).map(one)).unwrap();
    let whole = next_merged((1..=5).map(|seq| stored(one(seq)))).unwrap().unwrap();
    for read in 1..=4 {
        let batches = (1..=read).map(one).chain([compacted()]).map(stored);
        assert_eq!(next_merged(batches).unwrap().unwrap(), whole, "behind {read}");
    }
    assert_eq!(
        next_merged([2, 3].map(one).into_iter().chain([compacted()]).map(stored)).unwrap().unwrap().first_seq,
        2
    );
}
