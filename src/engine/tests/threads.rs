//! Several threads on the same keys.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::START;
use crate::engine::value::Content;
use crate::engine::{Engine, Expiry};

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
