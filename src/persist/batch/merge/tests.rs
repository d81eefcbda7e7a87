//! A merged batch leaves the truth as its parts do, one after the other, whichever of them were applied before.

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::batch::ClosedPeriod;
use crate::persist::contract::{NOON, OWNER, batch, claimed, limit, put, record};
use crate::persist::fake::FakeStore;
use crate::persist::record::{Record, StoredValue};
use crate::persist::store::{Applied, Store};

/// More rows than any truth of these tests has.
const ALL_ROWS: u32 = 1_000;

/// Records of few keys, so that batches meet; `None` deletes.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let place = (0_u8..3, prop::sample::select(vec!["a", "b", "c", "d"]));
    prop::collection::btree_map(place, prop::option::of(any::<i64>()), 0..6).prop_map(|drawn| {
        let value = |integer| StoredValue { content: Content::Integer(integer), expiry: Expiry::NEVER };
        let record = |((database, key), integer): ((u8, &str), Option<i64>)| Record {
            database,
            ..record(key, integer.map(value))
        };
        drawn.into_iter().map(record).collect()
    })
}

fn closed_periods() -> impl Strategy<Value = Vec<ClosedPeriod>> {
    let closed = (any::<u64>(), 0_u64..2).prop_map(|(used, start)| ClosedPeriod {
        database: 0,
        subject: (*b"s").into(),
        limit: limit("BUDGET 9 PER DAY"),
        start: Timestamp::from_millis(start),
        end: NOON,
        used,
    });
    prop::collection::vec(closed, 0..3)
}

/// Batches of the first epoch with the numbers from 1 on.
fn history() -> impl Strategy<Value = Vec<Batch>> {
    let part = (records(), prop::collection::vec(0_u8..3, 0..2), closed_periods());
    prop::collection::vec(part, 1..8).prop_map(|parts| {
        let batches = (1..).zip(parts).map(|(seq, (records, flushed_databases, closed_periods))| Batch {
            cut_at: NOON.plus_micros(seq),
            flushed_databases,
            closed_periods,
            ..batch(1, seq, records)
        });
        batches.collect()
    })
}

/// A truth after these batches: what lives in it, its closed periods and its last number.
async fn truth(batches: &[Batch]) -> (Vec<Record>, Vec<ClosedPeriod>, u64) {
    let store = FakeStore::new();
    assert_eq!(claimed(&store).await, 1);
    for batch in batches {
        assert_eq!(store.apply(OWNER, batch).await, Ok(Applied::Whole { rejected: Vec::new() }));
    }
    let page = store.scan(None, ALL_ROWS, NOON).await.unwrap();
    (page.records, store.closed_periods(), store.owner().await.unwrap().applied)
}

#[test]
fn the_last_state_counts_and_a_flush_drops_what_came_before() {
    let elsewhere = |integer| Record { database: 1, ..put("a", integer) };
    let merged = Batch::merge_all([
        Batch { flushed_databases: vec![2], ..batch(1, 4, vec![put("a", 4), put("b", 4), elsewhere(4)]) },
        Batch { flushed_databases: vec![1, 1], ..batch(1, 5, vec![put("a", 5), record("c", None)]) },
        Batch { cut_at: NOON.plus_micros(1), ..batch(2, 6, vec![put("c", 6)]) },
    ]);
    let expected = Batch {
        first_seq: 4,
        cut_at: NOON.plus_micros(1),
        flushed_databases: vec![1, 2],
        ..batch(2, 6, vec![put("a", 5), put("b", 4), put("c", 6)])
    };
    assert_eq!(merged, Some(expected));
    assert_eq!(Batch::merge_all([]), None);
}

#[test]
#[should_panic(expected = "the batch behind 1 is not the next one")]
fn a_number_that_is_missing_is_not_merged_over() {
    let _ = batch(1, 1, Vec::new()).merge(batch(1, 3, Vec::new()));
}

/// However many batches change the same keys, or few of many.
#[test]
fn many_batches_of_few_and_of_many_rows_are_merged() {
    let rows = |seq: i64| match seq {
        1 => 0..1_000,
        _ => seq % 7..(seq % 7) * 3 + seq % 2,
    };
    let put = |at: i64, seq: i64| put(format!("{at:04}"), seq);
    let batches =
        (1..=200_i64).map(|seq| batch(1, seq.unsigned_abs(), rows(seq).map(|at| put(at, seq)).collect()));
    let last = |at: i64| (1..=200).rev().find(|seq| rows(*seq).contains(&at)).unwrap();
    let expected = (0..1_000).map(|at| put(at, last(at))).collect();
    let merged = Batch::merge_all(batches).unwrap();
    assert_eq!(merged, Batch { first_seq: 1, ..batch(1, 200, expected) });
}

proptest! {
    #[test]
    fn merged_is_as_one_after_the_other(
        history in history(),
        start in any::<prop::sample::Index>(),
        applied in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = runtime.block_on(truth(&history));
        // Merged are the batches from `start` on, and some of them were applied before by themselves.
        let start = start.index(history.len());
        let applied = start + applied.index(history.len() - start);
        let merged = Batch::merge_all(history[start..].iter().cloned()).unwrap();
        prop_assert!(merged.is_sorted());
        prop_assert_eq!(merged.first_seq, history[start].first_seq);
        let before = &history[..applied];
        let found = runtime.block_on(truth(&[before, std::slice::from_ref(&merged)].concat()));
        prop_assert_eq!(found.0, expected.0);
        prop_assert_eq!(found.2, expected.2);
        if start == applied {
            // A period that was told before is told again, which the tables of a real truth take as one.
            prop_assert_eq!(found.1, expected.1);
        }
        let pairwise = history[start..].iter().cloned().reduce(Batch::merge);
        prop_assert_eq!(pairwise, Some(merged));
    }
}
