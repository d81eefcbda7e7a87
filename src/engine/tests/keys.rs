//! Keys come, change, expire, move and go.

use std::collections::HashSet;

use super::{START, get, set};
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{AddError, Charge, Cursor, Engine, Expiry, Missing, MissingKey, SweepCursor};
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Unit};

fn at_millis(millis: u64) -> Timestamp {
    START.plus_micros(millis * 1_000)
}

#[test]
fn values_of_every_size_come_back() {
    let engine = Engine::new();
    for length in [0, 1, 8, 22, 23, 1_000, 16_384, 16_385, 100_000] {
        let value = "v".repeat(length);
        set(&engine, &"k".repeat(length + 1), &value);
        assert_eq!(get(&engine, &"k".repeat(length + 1), START), Some(value));
    }
    assert_eq!(engine.len(0), 9);
    assert_eq!(get(&engine, "other", START), None);
}

#[test]
fn adding_keeps_the_expiry_and_starts_anew_after_it() {
    let engine = Engine::new();
    let expiry = Expiry::at_millis(START.as_millis() + 10);
    engine.edit(0, b"n", START, |slot| slot.put(Content::Integer(5), expiry)).unwrap();
    assert_eq!(engine.add(0, b"n", 2, START), Ok(7));
    assert_eq!(engine.read(0, b"n", START, |view| view.expiry()).unwrap(), Some(expiry));
    assert_eq!(engine.add(0, b"n", 2, at_millis(10)), Ok(2));
    assert_eq!(engine.read(0, b"n", at_millis(10), |view| view.expiry()).unwrap(), Some(Expiry::NEVER));
}

#[test]
fn adding_refuses_what_it_cannot_add_to() {
    let engine = Engine::new();
    set(&engine, "text", "abc");
    set(&engine, "max", &i64::MAX.to_string());
    engine.edit(0, b"throttle", START, |slot| slot.put(Content::Throttle(1), Expiry::NEVER)).unwrap();
    assert_eq!(engine.add(0, b"text", 1, START), Err(AddError::NotAnInteger));
    assert_eq!(engine.add(0, b"max", 1, START), Err(AddError::Overflow));
    assert_eq!(engine.add(0, b"throttle", 1, START), Err(AddError::WrongType));
    assert_eq!(get(&engine, "max", START), Some(i64::MAX.to_string()));
}

#[test]
fn an_expired_key_is_absent_at_its_millisecond_and_swept_later() {
    let engine = Engine::new();
    let expiry = Expiry::at_millis(START.as_millis() + 10);
    for number in 0..1_000 {
        let key = format!("key:{number}");
        engine.edit(0, key.as_bytes(), START, |slot| slot.put(Content::string(b"x"), expiry)).unwrap();
    }
    set(&engine, "stays", "x");
    assert_eq!(get(&engine, "key:7", START.plus_micros(9_999)), Some("x".to_owned()));
    assert_eq!(get(&engine, "key:7", at_millis(10)), None);
    let mut cursor = SweepCursor::default();
    let mut cache = SpanCache::default();
    assert_eq!(engine.sweep(&mut cursor, 10_000, at_millis(9), &mut cache).removed, 0);
    cursor = SweepCursor::default();
    let report = engine.sweep(&mut cursor, 10_000, at_millis(10), &mut cache);
    assert_eq!((report.removed, report.wrapped), (1_000, true));
    assert_eq!((engine.len(0), engine.expired_keys()), (1, 1_000));
}

#[test]
fn a_quota_that_is_fresh_between_two_calls_is_not_swept_between_them() {
    let engine = Engine::new();
    let rule = Rule::rate(1_000, Period::from_secs(1).unwrap(), None).unwrap();
    let limit = engine.number(&Limit { unit: Unit::REQUESTS, rule });
    let mut cache = SpanCache::default();
    let charges = [Charge { limit, amount: 1 }];
    engine.take(0, b"subject", &charges, Mode::Exact, START, &mut cache).unwrap();
    let removed = |millis| {
        engine.sweep(&mut SweepCursor::default(), 100, at_millis(millis), &mut SpanCache::default()).removed
    };
    assert_eq!((removed(1), removed(999), removed(2_000), removed(2_001)), (0, 0, 1, 0));
}

#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let engine = Engine::new();
    for number in 0..5_000 {
        set(&engine, &format!("key:{number}"), "x");
    }
    let mut cursor = SweepCursor::default();
    let mut cache = SpanCache::default();
    let mut visited = 0;
    loop {
        let report = engine.sweep(&mut cursor, 100, START, &mut cache);
        visited += report.visited;
        if report.wrapped {
            break;
        }
        assert!(report.visited <= 100 + 256);
    }
    assert_eq!(visited, 5_000);
}

#[test]
fn a_scan_meets_every_key_that_stays() {
    let engine = Engine::new();
    for number in 0..10_000 {
        set(&engine, &format!("stays:{number}"), "x");
    }
    let mut met = HashSet::new();
    let mut cursor = Cursor::default();
    let mut round = 0;
    loop {
        let page = engine.scan(0, cursor, 100, START, |key, _| {
            if key.starts_with(b"stays") {
                assert!(met.insert(key.to_vec()), "a key that stays is met once");
            }
        });
        // Keys come and go in between, and make tables grow and shrink.
        for number in 0..200 {
            let key = format!("comes:{round}:{number}");
            set(&engine, &key, "x");
            if round % 2 == 0 {
                engine.edit(0, key.as_bytes(), START, |slot| slot.remove()).unwrap();
            }
        }
        round += 1;
        match page.next {
            Some(next) => cursor = Cursor::from_number(next.to_number()).unwrap(),
            None => break,
        }
    }
    assert_eq!(met.len(), 10_000);
}

#[test]
fn cursors_of_strangers_are_refused() {
    assert_eq!(Cursor::from_number(0), Some(Cursor::default()));
    assert_eq!(Cursor::from_number(u64::MAX), None);
    assert!(Cursor::from_number(u64::from(u32::MAX)).is_some());
    let engine = Engine::new();
    set(&engine, "a", "x");
    let far = Cursor::from_number(u64::from(u32::MAX)).unwrap();
    let page = engine.scan(0, far, 10, START, |_, _| {});
    assert!(page.visited <= 1);
}

#[test]
fn databases_are_apart_and_flushed_apart() {
    let engine = Engine::new();
    for database in 0..3 {
        assert_eq!(engine.add(database, b"n", 1, START), Ok(1));
    }
    assert_eq!(engine.flush(1).len(), 1);
    assert_eq!([engine.len(0), engine.len(1), engine.len(2)], [1, 0, 1]);
    assert_eq!(engine.flush_all().len(), 2);
    assert_eq!(engine.memory().total_keys(), 0);
}

#[test]
fn several_keys_change_together() {
    let engine = Engine::new();
    set(&engine, "from", "value");
    let moved = engine.edit_many(&[(0, b"from"), (3, b"to"), (0, b"from")], START, |slots| {
        let (content, expiry) = slots.slot(0).remove().expect("it was set");
        slots.slot(1).put(content, expiry);
        slots.slot(2).is_present()
    });
    assert_eq!(moved, Ok(false));
    assert_eq!((engine.len(0), engine.len(3)), (0, 1));
}

#[test]
fn bytes_change_in_place_and_become_integers_where_they_are() {
    let engine = Engine::new();
    let append = |key: &str, more: &str| {
        engine.edit(0, key.as_bytes(), START, |slot| {
            slot.change_bytes(|bytes| {
                bytes.extend_from_slice(more.as_bytes());
                bytes.len()
            })
        })
    };
    assert_eq!(append("a", "1"), Ok(Some(1)));
    assert_eq!(append("a", "2"), Ok(Some(2)));
    assert_eq!(get(&engine, "a", START), Some("12".to_owned()));
    assert_eq!(engine.add(0, b"a", 1, START), Ok(13));
    assert_eq!(append("a", "x"), Ok(Some(3)));
    engine.edit(0, b"throttle", START, |slot| slot.put(Content::Throttle(1), Expiry::NEVER)).unwrap();
    assert_eq!(append("throttle", "x"), Ok(None));
    assert_eq!(engine.read(0, b"throttle", START, |view| view.kind().name()).unwrap(), Some("throttle"));
}

#[test]
fn a_random_key_is_a_live_one() {
    let engine = Engine::new();
    assert_eq!(engine.random_key(0, 7, START), None);
    let expiry = Expiry::at_millis(START.as_millis() + 1);
    engine.edit(0, b"ends", START, |slot| slot.put(Content::Integer(1), expiry)).unwrap();
    set(&engine, "stays", "x");
    for random in 0..100u64 {
        let key = engine.random_key(0, random.wrapping_mul(0x9E37_79B9_7F4A_7C15), at_millis(1));
        assert_eq!(key.as_deref(), Some(&b"stays"[..]));
    }
}

#[test]
fn in_front_of_a_truth_unknown_is_not_absent() {
    let engine = Engine::in_front_of_truth();
    let missing = |key: &str| Missing(vec![MissingKey { database: 0, key: key.as_bytes().into() }]);
    assert_eq!(engine.read(0, b"a", START, |_| ()), Err(missing("a")));
    assert_eq!(engine.add(0, b"a", 1, START), Err(AddError::Missing(missing("a"))));
    let both = engine.edit_many(&[(0, b"a"), (0, b"b")], START, |_| ()).unwrap_err();
    assert_eq!(both.0.len(), 2);
    let seven = || Some((Content::Integer(7), Expiry::NEVER));
    let fetch = engine.begin_fetch(&both.0);
    assert_eq!(fetch.keys, both.0);
    assert!(engine.begin_fetch(&both.0).keys.is_empty(), "they are being fetched");
    assert!(engine.fill(fetch.number, &fetch.keys[0], seven(), START));
    assert!(engine.fill(fetch.number, &fetch.keys[1], None, START));
    assert_eq!(engine.add(0, b"a", 1, START), Ok(8));
    assert_eq!(engine.read(0, b"b", START, |_| ()), Ok(None));
    assert_eq!(engine.len(0), 1, "the knowledge that a key is absent is no key");
    // What is in memory is newer than what was fetched.
    assert!(!engine.fill(fetch.number, &missing("a").0[0], seven(), START));
    assert!(engine.begin_fetch(&both.0).keys.is_empty(), "they are known");
    assert_eq!(get(&engine, "a", START), Some("8".to_owned()));
    // A removed key is known to be absent.
    engine.edit(0, b"a", START, |slot| slot.remove()).unwrap();
    assert_eq!(engine.read(0, b"a", START, |_| ()), Ok(None));
    engine.end_loading();
    assert_eq!(engine.read(0, b"never seen", START, |_| ()), Ok(None));
}

#[test]
fn memory_is_counted_and_given_back() {
    let engine = Engine::new();
    let empty = {
        set(&engine, "a", "x");
        engine.memory().data_bytes
    };
    for number in 0..20_000 {
        set(&engine, &format!("a key that is longer than what lies inline:{number}"), &"v".repeat(100));
    }
    let full = engine.memory().data_bytes;
    assert!(full > empty + 20_000 * (64 + 44 + 100));
    for number in 0..20_000 {
        let key = format!("a key that is longer than what lies inline:{number}");
        engine.edit(0, key.as_bytes(), START, |slot| slot.remove()).unwrap();
    }
    let after = engine.memory().data_bytes;
    assert!(after < empty + 1_024 * 2_500, "{after} bytes stay of {full}");
}
