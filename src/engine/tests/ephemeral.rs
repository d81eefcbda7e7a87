//! Databases that no truth gets, in front of one that gets the others.

use super::START;
use crate::engine::value::Content;
use crate::engine::{DatabaseSet, Engine, Eviction, Expiry, Lookup, Missing, Need};
use crate::quota::SpanCache;

/// The one that no truth gets.
const EPHEMERAL: u8 = 3;

fn loaded() -> Engine {
    let engine = Engine::in_front_of_truth_beside(DatabaseSet::NONE.with(EPHEMERAL));
    engine.end_loading_ephemeral();
    engine.end_loading();
    engine
}

fn integer(engine: &Engine, database: u8, key: &[u8]) -> Lookup<Option<i64>> {
    engine.read(database, key, START, |view| match view.copy().0 {
        Content::Integer(integer) => Some(integer),
        _ => None,
    })
}

#[test]
fn nothing_of_it_is_collected_for_the_truth() {
    let engine = loaded();
    assert!(!engine.is_tracked(EPHEMERAL) && engine.is_tracked(0));
    for _ in 0..3 {
        engine.add(EPHEMERAL, b"key", 1, START).unwrap();
    }
    engine.edit(EPHEMERAL, b"gone", START, |slot| slot.put(Content::Integer(1), Expiry::NEVER)).unwrap();
    engine.edit(EPHEMERAL, b"gone", START, |slot| slot.remove()).unwrap();
    drop(engine.flush(EPHEMERAL));
    engine.add(EPHEMERAL, b"key", 1, START).unwrap();
    assert_eq!((engine.queued(), engine.uncollected(), engine.cut()), (0, 0, None));

    engine.add(0, b"key", 5, START).unwrap();
    let closed = engine.cut().unwrap();
    let (changed, collected) = engine.collect_owned(closed);
    assert_eq!(changed.iter().map(|change| change.database).collect::<Vec<_>>(), [0]);
    assert!(collected.flushed_databases.is_empty());

    engine.set_applied(closed);
    engine.queue_everything();
    assert_eq!(engine.queued(), 1, "the truth that has lost everything gets what it had");
}

#[test]
fn a_key_that_is_not_in_memory_is_absent_once_it_is_loaded() {
    let engine = Engine::in_front_of_truth_beside(DatabaseSet::NONE.with(EPHEMERAL));
    let load = |database, key: &[u8]| engine.load(database, key, (Content::Integer(7), Expiry::NEVER), START);
    assert!(load(EPHEMERAL, b"lost") && load(EPHEMERAL, b"key"));
    engine.forget_loaded();
    assert!(load(EPHEMERAL, b"key"), "it was forgotten");
    engine.end_loading_ephemeral();
    assert!(!load(EPHEMERAL, b"late"), "all is there");
    assert_eq!(integer(&engine, EPHEMERAL, b"key"), Ok(Some(Some(7))));
    assert_eq!(integer(&engine, EPHEMERAL, b"lost"), Ok(None));
    assert_eq!(integer(&engine, 0, b"key"), Err(Missing::one(0, b"key")), "the truth is loaded still");
    assert!(load(0, b"key"));
    engine.end_loading();
    assert_eq!(integer(&engine, 0, b"key"), Ok(Some(Some(7))));
}

#[test]
fn what_is_evicted_of_it_is_gone() {
    let engine = loaded();
    for database in [0, EPHEMERAL] {
        engine.add(database, b"key", 1, START).unwrap();
    }
    let later = START.plus_micros(10_000_000);
    let need = Need { bytes: usize::MAX, entries: 128 };
    let evicted: usize =
        (0..100).map(|random| engine.evict(Eviction::AllKeysLru, need, random, later).keys).sum();
    assert_eq!(evicted, 1, "the truth does not have the other one yet");
    assert_eq!(integer(&engine, EPHEMERAL, b"key"), Ok(None));
    assert_eq!(integer(&engine, 0, b"key"), Ok(Some(Some(1))));
    assert!(engine.has_everything(), "nobody need ask the truth for it");
}

#[test]
fn the_sweep_leaves_no_mark_of_what_has_ended() {
    let engine = loaded();
    let end = Expiry::at_millis(START.as_millis() + 1_000);
    engine.edit(EPHEMERAL, b"key", START, |slot| slot.put(Content::Integer(1), end)).unwrap();
    let later = START.plus_micros(2_000_000);
    let mut cursor = crate::engine::SweepCursor::default();
    for _ in 0..2_000 {
        engine.sweep(&mut cursor, 4_096, later, &mut SpanCache::default());
    }
    assert_eq!((engine.len(EPHEMERAL), engine.queued()), (0, 0));
}
