//! The invariants of ARCHITECTURE.md under schedules that shuttle chooses: run with `--features shuttle`.

mod leaving;
mod snapshot;

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::value::Content;
use super::{Charge, Engine, Expiry, Gate, SweepCursor};
use crate::clock::Timestamp;
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Status, Unit};

/// Schedules tried of each test: enough that every deliberate break of the rules was found within a tenth of them.
const SCHEDULES: usize = 4_000;

const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn check(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, SCHEDULES);
}

fn fixed(maximum: u64, secs: u64) -> Limit {
    let period = Period::from_secs(secs).expect("the period is in range");
    Limit { unit: Unit::REQUESTS, rule: Rule::fixed_window(maximum, period).expect("the limit is in range") }
}

fn rate(count: u64, secs: u64, burst: u64) -> Limit {
    let period = Period::from_secs(secs).expect("the period is in range");
    let rule = Rule::rate(count, period, Some(burst)).expect("the limit is in range");
    Limit { unit: Unit::REQUESTS, rule }
}

/// Takes `amount` of every limit; answers what was granted.
fn take(engine: &Engine, limits: &[Limit], amount: u64, now: Timestamp) -> u64 {
    let charges: Vec<Charge> =
        limits.iter().map(|limit| Charge { limit: engine.number(limit), amount }).collect();
    let verdict = engine.take(0, b"subject", &charges, Mode::Exact, now, &mut SpanCache::default());
    let verdict = verdict.expect("the subject holds limits");
    if verdict.status == Status::Denied { 0 } else { verdict.granted }
}

/// Runs `works` at once on one engine; answers the sum of what they say.
fn together(engine: &Arc<Engine>, works: Vec<Box<dyn Fn(&Engine) -> u64 + Send>>) -> u64 {
    let threads: Vec<_> = works
        .into_iter()
        .map(|work| {
            let engine = Arc::clone(engine);
            thread::spawn(move || work(&engine))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum()
}

#[test]
fn no_addition_is_lost_from_the_first_use_on() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let add = || -> Box<dyn Fn(&Engine) -> u64 + Send> {
            Box::new(|engine| (0..2).map(|_| engine.add(0, b"n", 1, START).map_or(0, |_| 1)).sum())
        };
        let added = together(&engine, vec![add(), add(), add()]);
        assert_eq!(added, 6);
        assert_eq!(engine.add(0, b"n", 0, START), Ok(6));
    });
}

#[test]
fn one_limit_admits_exactly_its_maximum() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let work = || -> Box<dyn Fn(&Engine) -> u64 + Send> {
            Box::new(|engine| (0..3).map(|_| take(engine, &[fixed(5, 60)], 1, START)).sum())
        };
        let granted = together(&engine, vec![work(), work()]);
        assert_eq!(granted, 5);
    });
}

#[test]
fn several_limits_in_opposite_orders_admit_exactly_the_smallest_maximum() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let forth: Box<dyn Fn(&Engine) -> u64 + Send> = Box::new(|engine| {
            (0..3).map(|_| take(engine, &[fixed(4, 60), fixed(100, 3_600)], 1, START)).sum()
        });
        let back: Box<dyn Fn(&Engine) -> u64 + Send> = Box::new(|engine| {
            (0..3).map(|_| take(engine, &[fixed(100, 3_600), fixed(4, 60)], 1, START)).sum()
        });
        let granted = together(&engine, vec![forth, back]);
        assert_eq!(granted, 4);
        // What was denied by the short limit burnt nothing of the long one.
        assert_eq!(take(&engine, &[fixed(100, 3_600)], 96, START), 96);
        assert_eq!(take(&engine, &[fixed(100, 3_600)], 1, START), 0);
    });
}

#[test]
fn a_subject_that_grows_from_one_limit_to_two_loses_no_charge() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let one: Box<dyn Fn(&Engine) -> u64 + Send> =
            Box::new(|engine| (0..2).map(|_| take(engine, &[fixed(10, 60)], 1, START)).sum());
        let two: Box<dyn Fn(&Engine) -> u64 + Send> =
            Box::new(|engine| take(engine, &[fixed(10, 60), rate(1, 60, 10)], 1, START));
        let granted = together(&engine, vec![one, two]);
        assert_eq!(granted, 3);
        assert_eq!(take(&engine, &[fixed(10, 60)], 7, START), 7);
        assert_eq!(take(&engine, &[fixed(10, 60)], 1, START), 0);
    });
}

#[test]
fn a_changed_maximum_keeps_what_was_used() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let small: Box<dyn Fn(&Engine) -> u64 + Send> =
            Box::new(|engine| (0..3).map(|_| take(engine, &[fixed(3, 60)], 1, START)).sum());
        let large: Box<dyn Fn(&Engine) -> u64 + Send> =
            Box::new(|engine| (0..3).map(|_| take(engine, &[fixed(5, 60)], 1, START)).sum());
        let granted = together(&engine, vec![small, large]);
        assert!((3..=5).contains(&granted), "{granted}");
        assert_eq!(take(&engine, &[fixed(100, 60)], 100 - granted, START), 100 - granted);
    });
}

#[test]
fn the_sweep_removes_nothing_that_was_used_again() {
    check(|| {
        let engine = Arc::new(Engine::new());
        take(&engine, &[rate(1, 1, 1)], 1, START);
        // Fresh again, and unused for so long that the sweep takes it away.
        let later = START.plus_micros(2_000_000);
        let sweep: Box<dyn Fn(&Engine) -> u64 + Send> = Box::new(move |engine| {
            engine.sweep(&mut SweepCursor::default(), 10, later, &mut SpanCache::default());
            0
        });
        let again = || -> Box<dyn Fn(&Engine) -> u64 + Send> {
            Box::new(move |engine| take(engine, &[rate(1, 1, 1)], 1, later))
        };
        let granted = together(&engine, vec![sweep, again(), again()]);
        assert_eq!(granted, 1, "the bucket held one unit");
    });
}

#[test]
fn a_clock_that_moves_between_takes_admits_no_more_than_the_bound() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let clock = Arc::new(AtomicU64::new(START.as_micros()));
        let limits = [rate(1, 1, 2), fixed(3, 60)];
        let takes = |limits: Vec<Limit>, clock: Arc<AtomicU64>| -> Box<dyn Fn(&Engine) -> u64 + Send> {
            Box::new(move |engine| {
                let now = || Timestamp::from_micros(clock.load(Ordering::SeqCst));
                (0..3).map(|_| take(engine, &limits, 1, now())).sum()
            })
        };
        let mover: Box<dyn Fn(&Engine) -> u64 + Send> = {
            let clock = Arc::clone(&clock);
            Box::new(move |_| {
                clock.fetch_add(1_000_000, Ordering::SeqCst);
                0
            })
        };
        let opposite = limits.iter().rev().copied().collect();
        let granted = together(
            &engine,
            vec![takes(limits.to_vec(), Arc::clone(&clock)), takes(opposite, clock), mover],
        );
        // Burst 2 and one second of refill are 3; the window allows 3.
        assert!((2..=3).contains(&granted), "{granted}");
    });
}

#[test]
fn a_thread_that_was_stopped_for_longer_than_a_period_frees_nothing() {
    for text in ["RATE 1 PER 1s", "WINDOW 1 PER 1s FIXED", "WINDOW 1 PER 1s SLIDING", "WINDOW 1 PER 1s LOG"] {
        check(move || {
            let (list, _) =
                crate::quota::limits(text.split(' ').map(str::as_bytes)).expect("the limit is right");
            let limit = *list.first().expect("there is one");
            let engine = Arc::new(Engine::new());
            let stopped: Box<dyn Fn(&Engine) -> u64 + Send> = Box::new(move |engine| {
                take(engine, &[limit], 1, START);
                0
            });
            let later = START.plus_micros(5_000_000);
            let running: Box<dyn Fn(&Engine) -> u64 + Send> =
                Box::new(move |engine| (0..2).map(|_| take(engine, &[limit], 1, later)).sum());
            let granted = together(&engine, vec![stopped, running]);
            assert!(granted <= 1, "{text}: {granted}");
        });
    }
}

#[test]
fn moving_a_key_in_both_directions_neither_loses_nor_doubles_it() {
    check(|| {
        let engine = Arc::new(Engine::new());
        let put = engine.edit(0, b"a", START, |slot| slot.put(Content::Integer(1), Expiry::NEVER));
        put.expect("the engine is complete");
        let carry = |from: &'static [u8], to: &'static [u8]| -> Box<dyn Fn(&Engine) -> u64 + Send> {
            Box::new(move |engine| {
                let moved = engine.edit_many(&[(0, from), (0, to)], START, |slots| {
                    if let Some((content, expiry)) = slots.slot(0).remove() {
                        slots.slot(1).put(content, expiry);
                    }
                });
                moved.map_or(0, |()| 1)
            })
        };
        together(&engine, vec![carry(b"a", b"b"), carry(b"b", b"a"), carry(b"b", b"c")]);
        assert_eq!(engine.len(0), 1);
    });
}

/// What a truth holds of integers after it applied everything that was collected.
type Truth = std::collections::BTreeMap<Box<[u8]>, i64>;

/// Cuts between turns, if the gate can be closed, and applies what is collected.
fn cut(engine: &Engine, gate: &Gate, truth: &mut Truth) {
    let Ok(Some(closed)) = gate.close(|| engine.cut()) else { return };
    for change in engine.collect_owned(closed).0 {
        let Some((Content::Integer(integer), _)) = change.content else { panic!("only integers were put") };
        truth.insert(change.key.into_owned().into(), integer);
    }
    engine.set_applied(closed);
}

fn tracked() -> Arc<Engine> {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    Arc::new(engine)
}

#[test]
fn what_a_turn_changes_together_is_collected_together() {
    check(|| {
        let engine = tracked();
        let gate = Arc::new(Gate::new(2));
        let keys: [(u8, &[u8]); 2] = [(0, b"from"), (0, b"to")];
        engine.add(0, b"from", 10, START).expect("it is an integer");
        let movers: Vec<_> = (0..2)
            .map(|seat| {
                let (engine, gate) = (Arc::clone(&engine), Arc::clone(&gate));
                thread::spawn(move || {
                    for _ in 0..2 {
                        gate.enter(seat);
                        // Two commands of one turn, the first under one guard, the second under two.
                        engine.add(0, b"count", 1, START).expect("it is an integer");
                        let moved = engine.edit_many(&keys, START, |slots| {
                            for (position, delta) in [(0, -1), (1, 1)] {
                                let mut slot = slots.slot(position);
                                let before = slot.view().map_or(0, |view| match view.copy().0 {
                                    Content::Integer(integer) => integer,
                                    _ => panic!("only integers were put"),
                                });
                                slot.put(Content::Integer(before + delta), Expiry::NEVER);
                            }
                        });
                        moved.expect("the engine is complete");
                        gate.leave(seat);
                    }
                })
            })
            .collect();
        let mut truth = Truth::new();
        let verify = |truth: &Truth| {
            let value = |key: &[u8]| truth.get(key).copied().unwrap_or(0);
            assert!(truth.is_empty() || value(b"from") + value(b"to") == 10, "{truth:?}");
            assert_eq!(value(b"count"), value(b"to"), "{truth:?}");
        };
        for _ in 0..2 {
            cut(&engine, &gate, &mut truth);
            verify(&truth);
        }
        movers.into_iter().for_each(|mover| mover.join().expect("no thread panics"));
        cut(&engine, &gate, &mut truth);
        verify(&truth);
        assert_eq!(truth[&b"to"[..]], 4);
    });
}

#[test]
fn no_swapped_word_is_missed_or_collected_late() {
    check(|| {
        let engine = tracked();
        let gate = Arc::new(Gate::new(2));
        let adders: Vec<_> = (0..2)
            .map(|seat| {
                let (engine, gate) = (Arc::clone(&engine), Arc::clone(&gate));
                thread::spawn(move || {
                    for _ in 0..3 {
                        gate.enter(seat);
                        // The second finds its entry queued and swaps the word.
                        engine.add(0, b"n", 1, START).expect("it is an integer");
                        engine.add(0, b"n", 1, START).expect("it is an integer");
                        gate.leave(seat);
                    }
                })
            })
            .collect();
        let mut truth = Truth::new();
        for _ in 0..2 {
            cut(&engine, &gate, &mut truth);
            assert_eq!(truth.get(&b"n"[..]).copied().unwrap_or(0) % 2, 0, "a cut fell into a turn");
        }
        adders.into_iter().for_each(|adder| adder.join().expect("no thread panics"));
        cut(&engine, &gate, &mut truth);
        assert_eq!(truth[&b"n"[..]], 12);
    });
}
