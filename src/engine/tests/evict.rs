//! Which entries leave memory, which never do, and what is known of them afterwards.

use super::{START, get, set};
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{
    Charge, Engine, Evicted, Eviction, Expiry, Generation, Missing, MissingKey, Need, SweepCursor,
};
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Unit};

const LRU: Eviction = Eviction::AllKeysLru;
const TTL: Eviction = Eviction::VolatileTtl;

/// Calls in vain after which nothing more leaves: each looks at a few samples.
const CALLS_IN_VAIN: u64 = 100;

fn after_secs(secs: u64) -> Timestamp {
    START.plus_micros(secs * 1_000_000)
}

fn entries(entries: usize) -> Need {
    Need { bytes: usize::MAX, entries }
}

/// Evicts until so many entries left, or none does.
fn evict(engine: &Engine, policy: Eviction, most: usize, now: Timestamp) -> Evicted {
    let mut sum = Evicted::default();
    let (mut random, mut in_vain) = (0, 0);
    while sum.keys + sum.marks < most && in_vain < CALLS_IN_VAIN {
        let evicted = engine.evict(policy, entries(most - sum.keys - sum.marks), random, now);
        random += 1;
        in_vain = if evicted == Evicted::default() { in_vain + 1 } else { 0 };
        sum.keys += evicted.keys;
        sum.marks += evicted.marks;
        sum.bytes += evicted.bytes;
    }
    sum
}

fn tracked() -> Engine {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    engine
}

/// The truth takes all that was changed.
fn apply(engine: &Engine) -> Generation {
    let closed = engine.cut().expect("something changed");
    engine.collect(closed, |_| ());
    engine.set_applied(closed);
    closed
}

fn missing(key: &str) -> Missing {
    Missing::one(0, key.as_bytes())
}

fn read(engine: &Engine, key: &str) -> Result<Option<()>, Missing> {
    engine.peek(0, key.as_bytes(), START, |_| ())
}

#[test]
fn those_used_least_recently_leave_first() {
    let engine = Engine::new();
    (0..20_000).for_each(|number| set(&engine, &format!("key:{number}"), "x"));
    let later = after_secs(100);
    for number in 0..10_000 {
        engine.read(0, format!("key:{number}").as_bytes(), later, |_| ()).unwrap();
    }
    let evicted = evict(&engine, LRU, 5_000, later);
    assert_eq!((evicted.keys, engine.len(0)), (5_000, 15_000));
    assert_eq!(evicted.bytes, 5_000 * (64 + 8 + 1 + 24));
    let stays = (0..10_000).filter(|number| get(&engine, &format!("key:{number}"), later).is_some()).count();
    assert!(stays > 9_850, "{stays} of the 10,000 that were used last");
}

#[test]
fn those_that_end_next_leave_first_and_quotas_never() {
    let engine = Engine::new();
    for number in 0..10_000 {
        let expiry = Expiry::at_millis(START.as_millis() + 1_000 + number);
        let put = |slot: &mut crate::engine::Slot<'_>| slot.put(Content::Integer(1), expiry);
        engine.edit(0, format!("ends:{number}").as_bytes(), START, put).unwrap();
    }
    set(&engine, "stays", "x");
    let rule = Rule::rate(1, Period::from_secs(1).unwrap(), None).unwrap();
    let charges = [Charge { limit: engine.number(&Limit { unit: Unit::REQUESTS, rule }), amount: 1 }];
    engine.take(0, b"subject", &charges, Mode::Exact, START, &mut SpanCache::default()).unwrap();
    assert_eq!(evict(&engine, TTL, 2_000, START).keys, 2_000);
    let stays = (8_000..10_000).filter(|number| get(&engine, &format!("ends:{number}"), START).is_some());
    assert!(stays.count() > 1_950);
    assert_eq!(evict(&engine, TTL, 10_000, START).keys, 8_000);
    assert_eq!(engine.len(0), 2);
    assert_eq!(evict(&engine, LRU, 10, START).keys, 2);
}

#[test]
fn few_entries_of_large_tables_and_small_databases_are_found() {
    let engine = Engine::new();
    (0..100_000).for_each(|number| set(&engine, &format!("key:{number}"), "x"));
    engine.add(7, b"of a small database", 1, START).unwrap();
    for number in 50..100_000 {
        engine.edit(0, format!("key:{number}").as_bytes(), START, |slot| slot.remove()).unwrap();
    }
    let mut calls = 0;
    while engine.memory().total_keys() > 0 {
        engine.evict(LRU, entries(10), calls, START);
        calls += 1;
        assert!(calls < 100, "{} keys are not found", engine.memory().total_keys());
    }
    assert!(engine.memory().vacant_bytes <= engine.memory().data_bytes);
}

#[test]
fn a_call_stops_when_there_is_room_and_looks_at_few() {
    let engine = Engine::new();
    (0..1_000).for_each(|number| set(&engine, &format!("key:{number}"), "x"));
    let need = Need { bytes: 10 * (64 + 8 + 1 + 24), entries: 1_000 };
    assert_eq!(engine.evict(LRU, need, 1, START).keys, 10);
    assert_eq!(engine.evict(LRU, entries(0), 1, START), Evicted::default());
    assert!(engine.evict(LRU, entries(1_000), 1, START).keys <= 128);
    assert_eq!(engine.evict(TTL, entries(1_000), 1, START), Evicted::default());
    assert_eq!(Engine::new().evict(LRU, entries(1), 1, START), Evicted::default());
}

#[test]
fn only_what_the_truth_has_leaves_and_it_is_unknown_afterwards() {
    let engine = tracked();
    set(&engine, "queued", "x");
    assert_eq!(evict(&engine, LRU, 1, START).keys, 0, "it is queued");
    let closed = engine.cut().unwrap();
    engine.collect(closed, |_| ());
    assert_eq!(evict(&engine, LRU, 1, START).keys, 0, "it is on its way");
    assert_eq!(read(&engine, "other"), Ok(None), "all keys are in memory");
    engine.set_applied(closed);
    assert_eq!(evict(&engine, LRU, 1, START).keys, 1);
    assert_eq!(read(&engine, "queued"), Err(missing("queued")));
    assert_eq!(read(&engine, "other"), Ok(None), "it never left");
    assert!(engine.memory().filter_bytes > 0);
    set(&engine, "refused", "x");
    let closed = engine.cut().unwrap();
    engine.collect(closed, |_| ());
    engine.pin(0, b"refused", closed);
    engine.set_applied(closed);
    assert_eq!(evict(&engine, LRU, 1, START).keys, 0, "the truth does not have it");
    drop(engine.flush(0));
    assert_eq!(read(&engine, "queued"), Ok(None));
}

#[test]
fn marks_leave_before_values_and_are_no_loss() {
    let engine = tracked();
    for number in 0..1_000 {
        set(&engine, &format!("key:{number}"), "x");
    }
    engine.edit(0, b"key:7", START, |slot| slot.remove()).unwrap();
    apply(&engine);
    let evicted = evict(&engine, LRU, 1_000, after_secs(2));
    assert_eq!((evicted.keys, evicted.marks), (999, 1));
    assert_eq!(read(&engine, "key:7"), Ok(None), "the truth does not have it");
    assert_eq!(read(&engine, "key:8"), Err(missing("key:8")));
}

#[test]
fn a_key_in_flight_stays_and_a_late_answer_is_ignored() {
    let engine = Engine::in_front_of_truth();
    let key = MissingKey { database: 0, key: b"key"[..].into() };
    let slow = engine.begin_fetch(&[key.clone(), key.clone()]);
    assert_eq!(slow.keys, std::slice::from_ref(&key));
    // The stream that loads the truth is faster than the fetch.
    assert!(engine.load(0, b"key", (Content::Integer(1), Expiry::NEVER), START));
    assert_eq!(evict(&engine, LRU, 1, START).keys, 0);
    engine.edit(0, b"key", START, |slot| slot.remove()).unwrap();
    engine.end_loading();
    apply(&engine);
    let late = after_secs(3_600);
    let sweep = || engine.sweep(&mut SweepCursor::default(), 100, late, &mut SpanCache::default()).removed;
    assert_eq!((sweep(), evict(&engine, LRU, 1, late).marks), (0, 0));
    assert!(!engine.fill(slow.number, &key, Some((Content::Integer(1), Expiry::NEVER)), START));
    assert!(!engine.is_fetching(&key));
    assert_eq!(sweep(), 1);
    assert_eq!(read(&engine, "key"), Ok(None));
}

#[test]
fn a_fetch_begun_for_what_was_emptied_since_is_none() {
    let engine = Engine::in_front_of_truth();
    let key = MissingKey { database: 0, key: b"key"[..].into() };
    let before = engine.begin_fetch(std::slice::from_ref(&key));
    drop(engine.flush(0));
    let after = engine.begin_fetch(std::slice::from_ref(&key));
    assert_eq!(after.keys, [], "the key is absent");
    for number in [before.number, after.number] {
        assert!(!engine.fill(number, &key, Some((Content::Integer(1), Expiry::NEVER)), START));
    }
    assert!(!engine.load(0, b"key", (Content::Integer(1), Expiry::NEVER), START));
    assert_eq!(read(&engine, "key"), Ok(None));
}

#[test]
fn a_fetch_begun_before_its_database_was_emptied_is_over() {
    let engine = tracked();
    let key = MissingKey { database: 0, key: b"key"[..].into() };
    set(&engine, "key", "x");
    apply(&engine);
    assert_eq!(evict(&engine, LRU, 1, START).keys, 1);
    let slow = engine.begin_fetch(std::slice::from_ref(&key));
    drop(engine.flush(0));
    assert!(!engine.is_fetching(&key));
    // The database is no longer complete, so only the register knows that the answer is old.
    set(&engine, "next", "x");
    apply(&engine);
    assert_eq!(evict(&engine, LRU, 1, START).keys, 1);
    let again = engine.begin_fetch(std::slice::from_ref(&key));
    assert!(!engine.fill(slow.number, &key, Some((Content::Integer(1), Expiry::NEVER)), START));
    assert!(engine.fill(again.number, &key, None, START));
    assert_eq!(read(&engine, "key"), Ok(None));
}

#[test]
fn what_changed_while_the_truth_was_loaded_stays_until_the_end() {
    let engine = Engine::in_front_of_truth();
    assert!(engine.load(0, b"changed", (Content::Integer(1), Expiry::NEVER), START));
    assert!(engine.load(0, b"loaded", (Content::Integer(1), Expiry::NEVER), START));
    engine.edit(0, b"changed", START, |slot| slot.remove()).unwrap();
    apply(&engine);
    let late = after_secs(3_600);
    engine.sweep(&mut SweepCursor::default(), 100, late, &mut SpanCache::default());
    assert_eq!(evict(&engine, LRU, 2, late), Evicted { keys: 1, marks: 0, bytes: 64 + 8 });
    assert!(!engine.load(0, b"changed", (Content::Integer(1), Expiry::NEVER), START), "the page is old");
    assert!(engine.load(0, b"loaded", (Content::Integer(1), Expiry::NEVER), START));
    assert_eq!(read(&engine, "other"), Err(missing("other")));
    engine.note_left(3, b"no room");
    engine.end_loading();
    assert_eq!(read(&engine, "other"), Ok(None));
    assert_eq!(evict(&engine, LRU, 2, late).marks, 1);
    assert!(engine.peek(3, b"no room", START, |_| ()).is_err());
    assert_eq!(engine.peek(3, b"other", START, |_| ()), Ok(None));
}

#[test]
fn a_full_filter_is_made_anew_from_the_truth() {
    let engine = Engine::in_front_of_truth();
    for number in 0..70_000 {
        engine.note_left(0, format!("key:{number}").as_bytes());
    }
    engine.end_loading();
    assert!(engine.filter_is_full() && !engine.end_filter());
    engine.begin_filter(200_000);
    set_known(&engine, "new");
    for number in 0..60_000 {
        engine.note_left(0, format!("key:{number}").as_bytes());
    }
    apply(&engine);
    assert_eq!(evict(&engine, LRU, 1, START).keys, 1, "it leaves while the truth is scanned");
    assert!(engine.end_filter() && !engine.filter_is_full());
    assert!((0..60_000).all(|number| read(&engine, &format!("key:{number}")).is_err()));
    assert_eq!(read(&engine, "new"), Err(missing("new")));
    let vain = (60_000..70_000).filter(|number| read(&engine, &format!("key:{number}")).is_err()).count();
    assert!(vain < 100, "{vain} of 10,000 that the truth does not have any more");
    assert_eq!(engine.memory().filter_bytes, 250_000);
}

/// Sets a key that is absent as far as the filter tells, or fetches that it is.
fn set_known(engine: &Engine, key: &str) {
    let keys = [MissingKey { database: 0, key: key.as_bytes().into() }];
    let fetch = engine.begin_fetch(&keys);
    fetch.keys.iter().for_each(|key| assert!(engine.fill(fetch.number, key, None, START)));
    set(engine, key, "x");
}
