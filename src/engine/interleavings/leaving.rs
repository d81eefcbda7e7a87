//! Keys leave memory, come back and are changed, under schedules that shuttle chooses.

use std::sync::Arc;

use parking_lot::Mutex;
use shuttle::thread;

use super::{START, Truth, check, tracked};
use crate::engine::value::Content;
use crate::engine::{AddError, Engine, Eviction, Expiry, Gate, MissingKey, Need};

const KEY: &[u8] = b"n";

fn missing() -> MissingKey {
    MissingKey { database: 0, key: KEY.into() }
}

fn integer(integer: i64) -> (Content, Expiry) {
    (Content::Integer(integer), Expiry::NEVER)
}

/// Fetches what is unknown, or waits while somebody else does.
fn fetch(engine: &Engine, truth: &Mutex<Truth>, keys: &[MissingKey]) {
    let fetch = engine.begin_fetch(keys);
    for key in &fetch.keys {
        let row = truth.lock().get(&key.key).copied();
        // Between the truth's answer and its arrival anything may happen.
        thread::yield_now();
        engine.fill(fetch.number, key, row.map(integer), START);
    }
    while keys.iter().any(|key| engine.is_fetching(key)) {
        thread::yield_now();
    }
}

/// Adds in a turn of this seat, again after a fetch where the key is unknown.
fn add(engine: &Engine, gate: &Gate, seat: usize, truth: &Mutex<Truth>, delta: i64) -> i64 {
    loop {
        gate.enter(seat);
        let added = engine.add(0, KEY, delta, START);
        gate.leave(seat);
        match added {
            Ok(sum) => return sum,
            Err(AddError::Missing(keys)) => fetch(engine, truth, &keys.0),
            Err(error) => panic!("only integers were put: {error:?}"),
        }
    }
}

/// Cuts between turns, if the gate can be closed; the truth applies what is collected.
fn apply(engine: &Engine, gate: &Gate, truth: &Mutex<Truth>) {
    let Ok(Some(closed)) = gate.close(|| engine.cut()) else { return };
    for change in engine.collect_owned(closed).0 {
        let Some((Content::Integer(integer), _)) = change.content else { panic!("only integers were put") };
        truth.lock().insert(change.key.into_owned().into(), integer);
    }
    engine.set_applied(closed);
}

fn evict(engine: &Engine, random: u64) -> usize {
    engine.evict(Eviction::AllKeysLru, Need { bytes: usize::MAX, entries: 1 }, random, START).keys
}

#[test]
fn no_addition_is_lost_when_its_key_leaves_and_comes_back() {
    check(|| {
        let (engine, gate) = (tracked(), Arc::new(Gate::new(2)));
        let truth = Arc::new(Mutex::new(Truth::new()));
        let adders: Vec<_> = (0..2)
            .map(|seat| {
                let (engine, gate, truth) = (Arc::clone(&engine), Arc::clone(&gate), Arc::clone(&truth));
                thread::spawn(move || {
                    for _ in 0..2 {
                        add(&engine, &gate, seat, &truth, 1);
                    }
                })
            })
            .collect();
        for round in 0..3 {
            apply(&engine, &gate, &truth);
            evict(&engine, round);
        }
        adders.into_iter().for_each(|adder| adder.join().expect("no thread panics"));
        assert_eq!(add(&engine, &gate, 0, &truth, 0), 4);
        apply(&engine, &gate, &truth);
        assert_eq!(truth.lock().get(KEY), Some(&4));
    });
}

#[test]
fn what_was_emptied_does_not_come_back_by_a_fetch() {
    check(|| {
        let engine = tracked();
        let gate = Gate::new(1);
        let truth = Mutex::new(Truth::new());
        add(&engine, &gate, 0, &truth, 7);
        apply(&engine, &gate, &truth);
        assert_eq!(evict(&engine, 1), 1);
        let fetcher = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                if let Err(unknown) = engine.peek(0, KEY, START, |_| ()) {
                    let fetch = engine.begin_fetch(&unknown.0);
                    for key in &fetch.keys {
                        engine.fill(fetch.number, key, Some(integer(7)), START);
                    }
                }
            })
        };
        drop(engine.flush(0));
        fetcher.join().expect("no thread panics");
        assert_eq!(engine.peek(0, KEY, START, |_| ()), Ok(None));
    });
}

#[test]
fn a_key_that_leaves_while_the_loading_ends_is_not_taken_for_absent() {
    check(|| {
        let engine = Arc::new(Engine::in_front_of_truth());
        assert!(engine.load(0, KEY, integer(1), START));
        let evicting = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || evict(&engine, 1))
        };
        engine.end_loading();
        let is_gone = evicting.join().expect("no thread panics") == 1;
        let found = engine.peek(0, KEY, START, |_| ());
        assert_eq!(found.is_err(), is_gone);
        assert_ne!(found, Ok(None));
        assert_eq!(engine.peek(0, b"other", START, |_| ()), Ok(None));
    });
}

#[test]
fn an_overtaken_fetch_puts_no_old_value_into_memory() {
    check(|| {
        let engine = Arc::new(Engine::in_front_of_truth());
        let gate = Gate::new(1);
        let truth = Mutex::new(Truth::from([(KEY.into(), 1)]));
        let fetch = engine.begin_fetch(&[missing()]);
        let slow = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || engine.fill(fetch.number, &missing(), Some(integer(1)), START))
        };
        // The stream is faster; what it brought is changed, applied, and would leave.
        engine.load(0, KEY, integer(1), START);
        add(&engine, &gate, 0, &truth, 1);
        engine.end_loading();
        apply(&engine, &gate, &truth);
        evict(&engine, 1);
        slow.join().expect("no thread panics");
        assert_eq!(add(&engine, &gate, 0, &truth, 0), 2);
    });
}
