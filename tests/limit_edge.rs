//! Many threads at the edge of limits, on real threads: no unit too many, and nobody denied by a charge that never was.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use quotad::clock::Timestamp;
use quotad::engine::{Charge, Engine};
use quotad::quota::{Limit, Mode, SpanCache, Status, limits};

const THREADS: u64 = 4;
const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const SECOND_MICROS: u64 = 1_000_000;

/// Parses limits written as in QUOTA.TAKE.
fn parse(text: &str) -> Vec<Limit> {
    let (list, _) = limits(text.split(' ').map(str::as_bytes)).expect("the test's limits are right");
    list.iter().copied().collect()
}

fn charges(engine: &Engine, limits: &[Limit], amount: u64, reversed: bool) -> Vec<Charge> {
    let mut charges: Vec<Charge> =
        limits.iter().map(|limit| Charge { limit: engine.number(limit), amount }).collect();
    if reversed {
        charges.reverse();
    }
    charges
}

/// Takes once; answers what was granted.
fn take(engine: &Engine, charges: &[Charge], now: Timestamp, spans: &mut SpanCache) -> u64 {
    let verdict = engine.take(0, b"org/acme", charges, Mode::Exact, now, spans).expect("a verdict");
    if verdict.status == Status::Denied { 0 } else { verdict.granted }
}

/// What the subject has used of `limit` at `now`.
fn used(engine: &Engine, limit: &Limit, now: Timestamp) -> u64 {
    let slots = engine.read(0, b"org/acme", now, |view| view.quota_slots()).expect("the engine is complete");
    let slots = slots.expect("the subject is there");
    let slot =
        slots.iter().find(|slot| slot.limit.slot_key() == limit.slot_key()).expect("the slot is there");
    limit.rule.look(&slot.state, 0, now, &mut SpanCache::default()).used
}

/// Threads hammer a subject until it denies, second after second, with the limits in opposite orders. Each second must admit
/// exactly what its tightest limit allows: one unit more is a broken bound, one less a charge that never was.
#[track_caller]
fn check_every_second(text: &str, amount: u64, expected_each_second: u64) {
    const SECONDS: u64 = 200;
    let engine = Engine::new();
    let limits = parse(text);
    let granted = AtomicU64::new(0);
    let barrier = Barrier::new(usize::try_from(THREADS).expect("few threads"));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, limits, granted, barrier) = (&engine, &limits, &granted, &barrier);
            scope.spawn(move || {
                let charges = charges(engine, limits, amount, number % 2 == 1);
                let mut spans = SpanCache::default();
                for second in 0..SECONDS {
                    let now = START.plus_micros(second * SECOND_MICROS);
                    barrier.wait();
                    let mut denied = 0;
                    while denied < 20 {
                        match take(engine, &charges, now, &mut spans) {
                            0 => denied += 1,
                            units => {
                                granted.fetch_add(units, Ordering::Relaxed);
                            }
                        }
                    }
                    barrier.wait();
                    let sum = granted.load(Ordering::Relaxed);
                    assert_eq!(sum, (second + 1) * expected_each_second, "{text}, second {second}");
                }
            });
        }
    });
}

#[test]
fn one_limit_of_each_kind_admits_its_maximum_each_second() {
    check_every_second("RATE 50 PER 1s", 1, 50);
    check_every_second("WINDOW 50 PER 1s FIXED", 1, 50);
    check_every_second("WINDOW 50 PER 1s LOG", 1, 50);
    check_every_second("WINDOW 50 PER 1s FIXED", 3, 48);
}

#[test]
fn several_limits_admit_what_the_tightest_allows() {
    check_every_second("RATE 500 PER 1s WINDOW 50 PER 1s FIXED BUDGET 1000000 PER TOTAL", 1, 50);
    check_every_second("WINDOW 70 PER 1s LOG RATE 30 PER 1s BUDGET 100000 PER DAY TZ Asia/Tokyo", 1, 30);
    check_every_second("BUDGET 1000000 PER MONTH WINDOW 64 PER 1s FIXED RATE 1000 PER 1s", 4, 64);
}

/// Threads hammer a subject while another moves the clock on, and now and then a little back. The whole stretch must stay
/// within every bound, and a budget beside must have been charged exactly what was granted.
#[track_caller]
fn check_moving_clock(text: &str, bound: impl Fn(u64) -> u64) {
    const STEPS: u64 = 3_000;
    const STEP_MICROS: u64 = 1_700;
    let engine = Engine::new();
    let limits = parse(&format!("{text} BUDGET 1000000000 PER TOTAL"));
    let clock = AtomicU64::new(START.as_micros());
    let stop = AtomicBool::new(false);
    let (granted, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..THREADS - 1 {
            let (engine, limits, clock, stop, granted) = (&engine, &limits, &clock, &stop, &granted);
            let taken = &taken;
            scope.spawn(move || {
                let charges = charges(engine, limits, 1 + number, number % 2 == 1);
                let mut spans = SpanCache::default();
                while !stop.load(Ordering::Relaxed) {
                    let now = Timestamp::from_micros(clock.load(Ordering::SeqCst));
                    granted.fetch_add(take(engine, &charges, now, &mut spans), Ordering::Relaxed);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for step in 0..STEPS {
            // The clock waits for the takes, or it would be through before they begin.
            while taken.load(Ordering::Relaxed) < step * 40 {
                thread::yield_now();
            }
            clock.fetch_add(STEP_MICROS, Ordering::SeqCst);
            if step % 10 == 9 {
                clock.fetch_sub(STEP_MICROS / 2, Ordering::SeqCst);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let end = Timestamp::from_micros(clock.load(Ordering::SeqCst));
    // The clock was at most one step ahead of where it ended.
    let elapsed = end.micros_since(START) + STEP_MICROS;
    let granted = granted.load(Ordering::Relaxed);
    assert!(
        granted <= bound(elapsed),
        "{text}: {granted} granted, {} allowed in {elapsed} us",
        bound(elapsed)
    );
    assert!(granted > 0, "{text}: nothing was granted");
    let budget = limits.last().expect("the budget is the last");
    assert_eq!(used(&engine, budget, end), granted, "{text}: the budget was charged what was granted");
}

#[test]
fn a_clock_that_moves_during_takes_breaks_no_bound() {
    check_moving_clock("RATE 1000 PER 1s BURST 20", |elapsed| 20 + elapsed * 1_000 / SECOND_MICROS);
    check_moving_clock("WINDOW 100 PER 100ms FIXED", |elapsed| 100 * (elapsed / 100_000 + 2));
    check_moving_clock("WINDOW 100 PER 100ms LOG", |elapsed| 100 * (elapsed / 100_000 + 1));
    check_moving_clock("WINDOW 100 PER 100ms SLIDING", |elapsed| 100 * (elapsed / 100_000 + 2));
    check_moving_clock("RATE 333 PER 1s BURST 7 WINDOW 10 PER 10ms FIXED", |elapsed| {
        7 + elapsed * 333 / SECOND_MICROS
    });
}

#[test]
fn a_subject_that_gains_limits_under_load_loses_no_charge() {
    let engine = Engine::new();
    let one = parse("BUDGET 1000000000 PER TOTAL");
    let two = parse("WINDOW 1000000 PER 1h FIXED BUDGET 1000000000 PER TOTAL");
    let granted = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, one, two, granted) = (&engine, &one, &two, &granted);
            scope.spawn(move || {
                let mut spans = SpanCache::default();
                for round in 0..20_000 {
                    let limits = if round % (3 + number) == 0 { two } else { one };
                    let charges = charges(engine, limits, 1, number % 2 == 1);
                    granted.fetch_add(take(engine, &charges, START, &mut spans), Ordering::Relaxed);
                    if round % 1_000 == 999 {
                        // A changed maximum keeps what was used.
                        let changed = parse("BUDGET 900000000 PER TOTAL");
                        let changed = self::charges(engine, &changed, 1, false);
                        granted.fetch_add(take(engine, &changed, START, &mut spans), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(used(&engine, &one[0], START), granted.load(Ordering::Relaxed));
}
