//! The contract suite: what every store must do, run on each of them.

mod chain;
mod closed;
mod fetch;
mod owner;
mod refused;
mod restore;
mod scan;

use std::time::Duration;

use super::batch::{Batch, ClosedPeriod};
use super::fetched::fetch_all;
use super::record::{Record, StoredValue};
use super::store::{Applied, Claim, Claimed, DamagedRow, Epoch, Id, OwnerId, Page, RejectedRecord, Store};
use crate::clock::Timestamp;
use crate::engine::value::{Content, Text};
use crate::engine::{Expiry, MissingKey};
use crate::quota::{Limit, SpanCache};

/// Who writes in these tests.
pub(super) const OWNER: OwnerId = Id([1; 16]);

const OTHER: OwnerId = Id([2; 16]);

const LEASE: Duration = Duration::from_secs(3_600);

/// 2026-11-15T12:00:00Z.
pub(super) const NOON: Timestamp = Timestamp::from_millis(1_794_744_000_000);

/// A store and the hands to disturb it.
pub(super) trait Harness {
    fn store(&self) -> &dyn Store;

    /// Lets the lease that is held run out, by the truth's clock.
    async fn expire_lease(&self);

    /// Makes the truth refuse rows with this key.
    async fn refuse_key(&self, key: &[u8]);

    /// Lets the truth take rows with this key again.
    async fn accept_key(&self, key: &[u8]);

    /// Makes the row of this key one that cannot be read.
    async fn damage_key(&self, key: &[u8]);

    /// Marks the row of this key as one of batch 1,000,000.
    async fn make_newer(&self, key: &[u8]);
}

/// Makes a test of every case, each with a store of its own that is migrated and empty.
macro_rules! suite {
    ($harness:expr) => {
        $crate::persist::contract::suite!(
            $harness;
            batches_form_a_chain, a_claim_behind_another_epoch_changes_nothing, a_retry_is_harmless, a_retry_tells_what_was_refused, a_merged_batch_continues_where_its_parts_ended, another_epoch_is_fenced, a_second_owner_is_refused,
            a_lease_is_taken_over_by_its_rules, a_release_frees_the_truth, another_data_set_is_refused,
            epochs_are_told, an_ended_epoch_keeps_what_was_refused, values_of_every_kind_come_back, values_of_any_size_come_back, a_fetch_tells_how_far_the_truth_is, deleted_keys_are_gone, a_flush_spares_its_own_batch,
            a_key_of_another_type_stays_one_row, keys_end_when_they_expire, a_refused_row_blocks_nobody,
            keys_of_any_bytes_come_back, a_scan_meets_every_key_once, a_page_has_few_bytes, dead_rows_are_pruned, rows_are_told_by_their_batches, closed_periods_are_told_as_of_a_batch,
            what_was_pruned_is_noted, a_restore_fills_an_empty_truth, a_restore_spares_what_is_there,
            a_damaged_row_is_told_beside_the_others, a_large_value_is_left_out_of_a_fetch,
            a_newer_row_stops_the_batch, an_unsorted_batch_is_refused, large_batches_are_applied,
        );
    };
    ($harness:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::persist::contract::$case(&$harness.await).await;
            }
        )*
    };
}
pub(super) use chain::*;
pub(super) use closed::*;
pub(super) use fetch::*;
pub(super) use owner::*;
pub(super) use refused::*;
pub(super) use restore::*;
pub(super) use scan::*;
pub(super) use suite;

pub(super) fn claim(owner: OwnerId) -> Claim {
    Claim {
        data_set: None,
        owner,
        holder: format!("pid 7 on host-{}, data in /data", owner.0[0]),
        lease: LEASE,
        take_over: false,
        same_directory: false,
        behind: None,
    }
}

async fn epoch_of(store: &dyn Store, claim: &Claim) -> Epoch {
    match store.begin_epoch(claim).await.unwrap() {
        Claimed::Epoch(epoch) => epoch,
        refusal => panic!("the claim is refused: {refusal:?}"),
    }
}

/// Takes an epoch for [`OWNER`].
pub(super) async fn claimed(store: &dyn Store) -> u64 {
    epoch_of(store, &claim(OWNER)).await.epoch
}

pub(super) fn batch(epoch: u64, seq: u64, records: Vec<Record>) -> Batch {
    let mut batch =
        Batch { epoch, first_seq: seq, seq, cut_at: NOON, records: records.into(), ..Batch::default() };
    batch.sort();
    batch
}

pub(super) fn record(key: impl AsRef<[u8]>, value: Option<StoredValue>) -> Record {
    Record { database: 0, key: key.as_ref().into(), value }
}

fn value(content: Content) -> StoredValue {
    StoredValue { content, expiry: Expiry::NEVER }
}

pub(super) fn put(key: impl AsRef<[u8]>, integer: i64) -> Record {
    record(key, Some(value(Content::Integer(integer))))
}

fn delete(key: impl AsRef<[u8]>) -> Record {
    record(key, None)
}

fn key(key: impl AsRef<[u8]>) -> MissingKey {
    MissingKey { database: 0, key: key.as_ref().into() }
}

const WHOLE: Applied = Applied::Whole { rejected: Vec::new() };

async fn apply(store: &dyn Store, batch: &Batch) {
    assert_eq!(store.apply(OWNER, batch).await, Ok(WHOLE), "batch {}", batch.seq);
}

/// The values of keys whose rows can be read.
pub(super) async fn fetched(
    store: &dyn Store,
    keys: &[MissingKey],
    now: Timestamp,
) -> Vec<Option<StoredValue>> {
    let values = fetch_all(store, keys, now).await.unwrap().values;
    values.into_iter().collect::<Result<_, _>>().expect("every row can be read")
}

async fn integers(store: &dyn Store, keys: &[&str]) -> Vec<Option<i64>> {
    let keys: Vec<MissingKey> = keys.iter().map(key).collect();
    let integer = |value: StoredValue| match value.content {
        Content::Integer(integer) => integer,
        other => panic!("{other:?} is no integer"),
    };
    fetched(store, &keys, NOON).await.into_iter().map(|value| value.map(integer)).collect()
}

/// A limit of one line of words, as QUOTA.TAKE takes it.
pub(super) fn limit(words: &str) -> Limit {
    let (limits, _) = crate::quota::limits(words.split(' ').map(str::as_bytes)).unwrap();
    *limits.first().unwrap()
}

/// A quota of which so much was used at noon.
pub(super) fn used(words: &str, amount: u64) -> StoredValue {
    let limit = limit(words);
    let word = limit.rule.charge_word(0, amount, NOON, &mut SpanCache::new());
    value(Content::Quota(limit, word))
}

pub(super) async fn values_of_every_kind_come_back(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let log = {
        let rule = limit("WINDOW 5 PER 1m LOG").rule;
        let mut state = rule.fresh();
        rule.charge(&mut state, 3, NOON, &mut SpanCache::new());
        let mut slots = crate::engine::value::QuotaSlots::default();
        slots.push(crate::engine::value::QuotaSlot::new(limit("WINDOW 5 PER 1m LOG"), state));
        value(Content::Quotas(slots))
    };
    let values = [
        value(Content::Integer(i64::MIN)),
        value(Content::Text(Text::new(b""))),
        value(Content::Text(Text::new(&[0, 255, 10]))),
        value(Content::Text(Text::new(&vec![b'x'; 3_000_000]))),
        StoredValue { content: Content::Throttle(u128::MAX), expiry: Expiry::NEVER },
        StoredValue { content: Content::Integer(5), expiry: Expiry::at_millis(NOON.as_millis() + 1) },
        used("RATE 10 PER 1s", 3),
        used("BUDGET 10 PER MONTH TZ Europe/Berlin UNIT usd_micro", 3),
        log,
    ];
    let keys: Vec<String> = (0..values.len()).map(|at| format!("key:{at}")).collect();
    let records = keys.iter().zip(&values).map(|(key, value)| record(key, Some(value.clone())));
    apply(store, &batch(epoch, 1, records.collect())).await;
    let keys: Vec<MissingKey> = keys.iter().map(key).collect();
    let found = fetched(store, &keys, NOON).await;
    assert_eq!(found, values.map(Some));
}

/// Also around the size from which on a store may fetch them in another way.
pub(super) async fn values_of_any_size_come_back(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let lengths = [1, 65_000, 65_534, 65_535, 65_536, 65_537, 200_000];
    let values = lengths.map(|length| value(Content::Text(Text::new(&vec![b'x'; length]))));
    let keys = lengths.map(|length| key(length.to_string()));
    let records = keys.iter().zip(&values).map(|(key, value)| record(&key.key, Some(value.clone())));
    apply(store, &batch(epoch, 1, records.collect())).await;
    for (key, value) in keys.iter().zip(&values) {
        assert_eq!(fetched(store, std::slice::from_ref(key), NOON).await, [Some(value.clone())]);
    }
    assert_eq!(fetched(store, &keys, NOON).await, values.map(Some));
}

/// So that whoever fetches sees a truth that was set back.
pub(super) async fn a_fetch_tells_how_far_the_truth_is(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    for seq in 1..=3 {
        apply(store, &batch(epoch, seq, vec![put("a", 1)])).await;
        let fetched = store.fetch(&[key("a"), key("b")], NOON).await.unwrap();
        assert_eq!((fetched.epoch, fetched.applied, fetched.values.len()), (epoch, seq, 2));
    }
}

pub(super) async fn deleted_keys_are_gone(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1), delete("never")])).await;
    apply(store, &batch(epoch, 2, vec![delete("a")])).await;
    assert_eq!(integers(store, &["a", "b", "never"]).await, [None, Some(1), None]);
    assert_eq!(store.count(NOON).await, Ok(1));
    apply(store, &batch(epoch, 3, vec![put("a", 3)])).await;
    assert_eq!(integers(store, &["a"]).await, [Some(3)]);
}

pub(super) async fn a_flush_spares_its_own_batch(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let other = Record { database: 1, ..put("a", 9) };
    apply(store, &batch(epoch, 1, vec![put("a", 1), put("b", 1), other])).await;
    let flush = Batch { flushed_databases: vec![0, 2], ..batch(epoch, 2, vec![put("b", 2)]) };
    apply(store, &flush).await;
    assert_eq!(integers(store, &["a", "b"]).await, [None, Some(2)]);
    assert_eq!(store.count(NOON).await, Ok(2));
    let elsewhere = MissingKey { database: 1, ..key("a") };
    assert!(fetched(store, &[elsewhere], NOON).await[0].is_some());
    apply(store, &batch(epoch, 3, vec![put("a", 3)])).await;
    assert_eq!(integers(store, &["a", "b"]).await, [Some(3), Some(2)]);
    let again = Batch { flushed_databases: vec![0], ..batch(epoch, 4, Vec::new()) };
    apply(store, &again).await;
    assert_eq!(integers(store, &["a", "b"]).await, [None, None]);
}

pub(super) async fn a_key_of_another_type_stays_one_row(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let values =
        [value(Content::Integer(1)), used("RATE 10 PER 1s", 3), value(Content::Text(Text::new(b"text")))];
    for (seq, value) in (1..).zip(values) {
        apply(store, &batch(epoch, seq, vec![record("a", Some(value.clone()))])).await;
        assert_eq!(fetched(store, &[key("a")], NOON).await, [Some(value)]);
        assert_eq!(store.count(NOON).await, Ok(1));
    }
}

pub(super) async fn keys_end_when_they_expire(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let expiry = Expiry::at_millis(NOON.as_millis());
    let expiring = record("a", Some(StoredValue { content: Content::Integer(1), expiry }));
    apply(store, &batch(epoch, 1, vec![expiring, put("b", 1)])).await;
    let before = Timestamp::from_micros(NOON.as_micros() - 1);
    for (now, lives) in [(before, true), (NOON, false), (Timestamp::MAX, false)] {
        assert_eq!(fetched(store, &[key("a")], now).await[0].is_some(), lives);
        assert_eq!(store.count(now).await, Ok(1 + u64::from(lives)));
        let page = store.scan(None, 10, now).await.unwrap();
        assert_eq!(page.records.len(), 1 + usize::from(lives));
    }
    apply(store, &batch(epoch, 2, vec![put("a", 2)])).await;
    assert_eq!(integers(store, &["a"]).await, [Some(2)], "the expiry is gone with the value");
}

pub(super) async fn a_refused_row_blocks_nobody(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let keys: Vec<String> = (0..300).map(|at| format!("key:{at:03}")).collect();
    apply(store, &batch(epoch, 1, keys.iter().map(|key| put(key, 1)).collect())).await;
    for refused in ["key:000", "key:150", "key:299"] {
        harness.refuse_key(refused.as_bytes()).await;
    }
    for seq in [2, 3] {
        let records = keys.iter().map(|key| put(key, 2)).collect();
        let Ok(Applied::Whole { rejected }) = store.apply(OWNER, &batch(epoch, seq, records)).await else {
            panic!("one bad row blocks the batch")
        };
        let found: Vec<_> = rejected.iter().map(|record| (record.database, &*record.key)).collect();
        assert_eq!(found, [(0, &b"key:000"[..]), (0, b"key:150"), (0, b"key:299")]);
        assert!(
            rejected.iter().all(|RejectedRecord { reason, .. }| reason.contains("refused")),
            "{rejected:?}"
        );
    }
    assert_eq!(
        integers(store, &["key:000", "key:001", "key:298", "key:299"]).await,
        [Some(1), Some(2), Some(2), Some(1)]
    );
    assert_eq!(store.count(NOON).await, Ok(300));
}

pub(super) async fn keys_of_any_bytes_come_back(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let long = |last: u8| [&[b'k'; 65_535][..], &[last]].concat();
    let mut keys: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0, 0],
        vec![255],
        b"a'b\"c\\d%".to_vec(),
        "sch\u{f6}n/\u{1f980}".as_bytes().to_vec(),
        vec![0xc3, 0x28],
        long(0),
        long(1),
        vec![b'k'; 1_024],
        vec![b'k'; 1_025],
        (0..=255).collect(),
    ];
    // Random bytes do not get shorter when they are compressed.
    keys.push((0..65_536_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect());
    let number = |at: usize| i64::try_from(at).unwrap();
    let records = keys.iter().enumerate().map(|(at, key)| put(key, number(at)));
    apply(store, &batch(epoch, 1, records.collect())).await;
    let asked: Vec<MissingKey> = keys.iter().map(key).collect();
    let found = fetched(store, &asked, NOON).await;
    let expected = (0..keys.len()).map(|at| Some(value(Content::Integer(number(at)))));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let mut scanned: Vec<Vec<u8>> =
        scan_all(store, 2).await.into_iter().map(|record| record.key.into_vec()).collect();
    scanned.sort();
    keys.sort();
    assert!(scanned == keys, "a scan answers other keys than were put");
    let records = keys.iter().map(delete);
    apply(store, &batch(epoch, 2, records.collect())).await;
    assert_eq!(store.count(NOON).await, Ok(0));
}

/// As a state that somebody has edited, or one of a newer version.
pub(super) async fn a_damaged_row_is_told_beside_the_others(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    apply(store, &batch(epoch, 1, ["a", "b", "c", "d"].map(|key| put(key, 1)).to_vec())).await;
    for damaged in ["b", "d"] {
        harness.damage_key(damaged.as_bytes()).await;
    }
    for rows in [1, 2, 4, 10] {
        let (mut read, mut damaged, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = store.scan(after.as_ref(), rows, NOON).await.unwrap();
            read.extend(page.records.into_iter().map(|record| record.key));
            damaged.extend(page.damaged);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, [*b"a", *b"c"].map(Box::<[u8]>::from), "by {rows}");
        assert!(damaged.iter().all(|row| !row.reason.is_empty()), "{damaged:?}");
        let damaged: Vec<_> = damaged.iter().map(DamagedRow::place).collect();
        assert_eq!(damaged, [Some(key("b")), Some(key("d"))], "by {rows}");
    }
    for keys in [&["a", "b", "none"][..], &["b"]] {
        let values = store.fetch(&keys.iter().map(key).collect::<Vec<_>>(), NOON).await.unwrap().values;
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.is_err(), *key == "b", "{key} is {value:?}");
            assert_eq!(matches!(value, Ok(Some(_))), *key == "a", "{key} is {value:?}");
        }
    }
    assert_eq!(store.count(NOON).await, Ok(4), "they are there");
    apply(store, &batch(epoch, 2, vec![put("b", 2)])).await;
    assert_eq!(integers(store, &["b"]).await, [Some(2)], "what memory has replaces it");
    let flush = Batch { flushed_databases: vec![0], ..batch(epoch, 3, Vec::new()) };
    apply(store, &flush).await;
    assert_eq!(store.scan(None, 10, NOON).await, Ok(Page::default()));
    assert_eq!(integers(store, &["a", "d"]).await, [None, None]);
}

pub(super) async fn dead_rows_are_pruned(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    let expiry = Expiry::at_millis(NOON.as_millis());
    let expired = record("expired", Some(StoredValue { content: Content::Integer(1), expiry }));
    let flushed = Record { database: 1, ..put("flushed", 1) };
    apply(store, &batch(epoch, 1, vec![put("lives", 1), put("deleted", 1), expired, flushed])).await;
    let flush = Batch { flushed_databases: vec![1], ..batch(epoch, 2, vec![delete("deleted")]) };
    apply(store, &flush).await;
    apply(store, &batch(epoch, 3, vec![delete("kept")])).await;
    let prune = async |applied| {
        let (mut deleted, mut after) = (0, None);
        for _ in 0..10 {
            let pruned = store.prune(after.as_ref(), 2, applied, NOON).await.unwrap();
            deleted += pruned.deleted;
            after = pruned.next;
            if after.is_none() {
                return deleted;
            }
        }
        panic!("pruning does not end")
    };
    assert_eq!(prune(2).await, 3, "the row of the third batch is not covered yet");
    assert_eq!(prune(2).await, 0);
    assert_eq!(prune(3).await, 1);
    assert_eq!(integers(store, &["lives", "deleted", "expired", "kept"]).await, [Some(1), None, None, None]);
    apply(store, &batch(epoch, 4, vec![put("deleted", 4)])).await;
    assert_eq!(integers(store, &["deleted"]).await, [Some(4)]);
}

pub(super) async fn large_batches_are_applied(harness: &impl Harness) {
    let store = harness.store();
    let epoch = claimed(store).await;
    for seq in 1..=2 {
        let limit = limit("BUDGET 10 PER DAY");
        let closed = (0..3_000).map(|at| ClosedPeriod {
            database: 0,
            // Every other one is there twice.
            subject: format!("key:{:05}", at / 2).into_bytes().into(),
            limit,
            start: NOON,
            end: NOON.plus_micros(1),
            used: at,
        });
        let records = (0..20_001).map(|at| put(format!("key:{at:05}"), seq)).collect();
        let large = batch(epoch, u64::try_from(seq).unwrap(), records);
        apply(store, &Batch { closed_periods: closed.collect(), ..large }).await;
        assert_eq!(store.count(NOON).await, Ok(20_001));
        assert_eq!(integers(store, &["key:00000", "key:20000"]).await, [Some(seq), Some(seq)]);
        assert_eq!(scan_all(store, 5_000).await.len(), 20_001);
    }
}
