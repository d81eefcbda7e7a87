//! Several threads on the same keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::START;
use crate::engine::value::Content;
use crate::engine::{AddError, Engine, Eviction, Expiry, Gate, Need};

const THREADS: i64 = 4;
const ROUNDS: i64 = 50_000;

#[test]
fn no_addition_is_lost() {
    let engine = Engine::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    engine.add(0, b"hot", 1, START).unwrap();
                    engine.add(0, format!("key:{}", round % 1_000).as_bytes(), 1, START).unwrap();
                }
            });
        }
    });
    assert_eq!(engine.add(0, b"hot", 0, START), Ok(THREADS * ROUNDS));
    let sum: i64 = (0..1_000).map(|n| engine.add(0, format!("key:{n}").as_bytes(), 0, START).unwrap()).sum();
    assert_eq!(sum, THREADS * ROUNDS);
}

#[test]
fn an_addition_beside_overwrites_is_never_torn() {
    let engine = Engine::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let put =
                    |slot: &mut crate::engine::Slot<'_>| slot.put(Content::Integer(1_000_000), Expiry::NEVER);
                engine.edit(0, b"n", START, put).unwrap();
                engine.edit(0, b"n", START, |slot| slot.remove()).unwrap();
            }
        });
        for _ in 0..100_000 {
            let sum = engine.add(0, b"n", 1, START).unwrap();
            assert!((1..=100_000).contains(&sum) || (1_000_001..=1_100_000).contains(&sum), "{sum}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn transfers_in_opposite_orders_neither_deadlock_nor_leak() {
    let engine = Engine::new();
    let keys: Vec<String> = (0..8).map(|number| format!("account:{number}")).collect();
    for key in &keys {
        engine.add(0, key.as_bytes(), 1_000, START).unwrap();
    }
    let checks = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..3usize {
            let (engine, keys) = (&engine, &keys);
            scope.spawn(move || {
                for round in 0..20_000usize {
                    let (from, to) = ((round * 7 + thread) % 8, (round * 3 + thread * 5 + 1) % 8);
                    let pair = [(0, keys[from].as_bytes()), (0, keys[to].as_bytes())];
                    let moved = engine.edit_many(&pair, START, |slots| {
                        for (position, change) in [(0, -1), (1, 1)] {
                            let mut slot = slots.slot(position);
                            let Some((Content::Integer(integer), _)) = slot.view().map(|view| view.copy())
                            else {
                                panic!("every account is an integer");
                            };
                            slot.put(Content::Integer(integer + change), Expiry::NEVER);
                        }
                    });
                    moved.unwrap();
                }
            });
        }
        scope.spawn(|| {
            let all: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
            for _ in 0..5_000 {
                let mut sum = 0;
                let read = engine.read_many(0, &all, START, |_, view| {
                    if let Some((Content::Integer(integer), _)) = view.map(|view| view.copy()) {
                        sum += integer;
                    }
                });
                read.unwrap();
                assert_eq!(sum, 8_000);
                checks.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    assert_eq!(checks.load(Ordering::Relaxed), 5_000);
}

/// What a truth holds of integers.
type Truth = Mutex<HashMap<Box<[u8]>, i64>>;

/// Adds in a turn of this seat, after a fetch where the key is unknown.
fn add_fetching(engine: &Engine, gate: &Gate, seat: usize, truth: &Truth, key: &[u8], delta: i64) -> i64 {
    loop {
        gate.enter(seat);
        let added = engine.add(0, key, delta, START);
        gate.leave(seat);
        let Err(AddError::Missing(unknown)) = added else { return added.unwrap() };
        let fetch = engine.begin_fetch(&unknown.0);
        for key in &fetch.keys {
            let row = truth.lock().get(&key.key).map(|&integer| (Content::Integer(integer), Expiry::NEVER));
            engine.fill(fetch.number, key, row, START);
        }
        thread::yield_now();
    }
}

/// The truth takes what changed up to a cut, if the gate could be closed.
fn apply(engine: &Engine, gate: &Gate, truth: &Truth) {
    let Ok(Some(closed)) = gate.close(|| engine.cut()) else { return };
    for change in engine.collect_owned(closed).0 {
        match change.content {
            Some((Content::Integer(integer), _)) => {
                truth.lock().insert(change.key.into_owned().into(), integer)
            }
            other => panic!("only integers were put, not {other:?}"),
        };
    }
    engine.set_applied(closed);
}

#[test]
fn no_addition_is_lost_while_keys_leave_and_come_back() {
    const KEYS: i64 = 2_000;
    const EVICTED: usize = 5_000;
    const MOST_ROUNDS: u64 = 1_000_000;
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    let (gate, truth, stop) = (Gate::new(3), Truth::default(), AtomicBool::new(false));
    let added: i64 = thread::scope(|scope| {
        let adders = [0, 1, 2].map(|seat| {
            let (engine, gate, truth, stop) = (&engine, &gate, &truth, &stop);
            scope.spawn(move || {
                let rounds = (0..).take_while(|_| !stop.load(Ordering::Relaxed));
                let add = |round: i64| {
                    add_fetching(engine, gate, seat, truth, format!("key:{}", round % KEYS).as_bytes(), 1);
                };
                i64::try_from(rounds.map(add).count()).unwrap()
            })
        });
        let mut evicted = 0;
        for random in 0..MOST_ROUNDS {
            apply(&engine, &gate, &truth);
            let need = Need { bytes: usize::MAX, entries: 100 };
            evicted += engine.evict(Eviction::AllKeysLru, need, random, START).keys;
            if evicted >= EVICTED {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(evicted >= EVICTED, "{evicted} keys left");
        adders.map(|adder| adder.join().unwrap()).iter().sum()
    });
    let sums = |number: i64| add_fetching(&engine, &gate, 0, &truth, format!("key:{number}").as_bytes(), 0);
    assert_eq!((0..KEYS).map(sums).sum::<i64>(), added);
    apply(&engine, &gate, &truth);
    assert_eq!(truth.lock().values().sum::<i64>(), added);
}
