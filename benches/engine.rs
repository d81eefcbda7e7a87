//! How long the engine takes for one look-up, addition or take, beside the same on two other designs of a map.
//!
//! Each measurement is named `keys/operation/threads`; with two threads the time is of one operation of one thread while the
//! other does the same. The other designs keep a bare word without expiry, type or limit: what they are slower or
//! faster by is the design's, what quotad's entries do more is paid on top.
#![allow(missing_docs, reason = "criterion's macros make an item without documentation")]

#[path = "engine/contestants.rs"]
mod contestants;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use quotad::clock::Timestamp;
use quotad::engine::{Charge, Engine};
use quotad::quota::{Anchor, CalendarPeriod, Limit, Mode, Period, Rule, SpanCache, Throttle, Unit, Zone};

use smallvec::SmallVec;

use contestants::{Dash, Map, Mutexes};

/// 2026-11-20, 12:00:00 UTC.
const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

/// Units a second of every rule here: a thousand a microsecond come back, and the clock moves a microsecond a take, so that
/// all are allowed, which is the dearer way.
const UNITS_PER_SECOND: u64 = 1_000_000_000;

const DATABASE: u8 = 0;

/// Keys of a turn whose lines are loaded ahead of their commands, as the server does.
const KEYS_AHEAD: usize = 16;

type Key = [u8; 16];

fn limit() -> Limit {
    let second = Period::parse(b"1s").expect("it is a period");
    let rule = Rule::rate(UNITS_PER_SECOND, second, None).expect("the numbers are in range");
    Limit { unit: Unit::REQUESTS, rule }
}

/// Keys in random order: the order in which they were put in would walk through memory from end to end.
fn shuffled_keys(count: usize) -> Vec<Key> {
    let mut keys: Vec<Key> = (0..count)
        .map(|number| format!("key:{number:012}").into_bytes().try_into().expect("12 digits and 4 letters"))
        .collect();
    // Fisher and Yates with xorshift64: the same order in every run.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for last in (1..keys.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let other = random % (u64::try_from(last).expect("an index fits") + 1);
        keys.swap(last, usize::try_from(other).expect("it is at most an index"));
    }
    keys
}

/// Time of `iterations` operations on each of `threads` threads, from when all are ready to when the last is done.
fn on_threads(
    threads: usize,
    keys: &[Key],
    iterations: u64,
    operation: impl Fn(&[u8], Timestamp, &mut SpanCache) + Sync,
) -> Duration {
    let walk = |begin: usize| {
        let mut cache = SpanCache::default();
        let mut now = START;
        let keys = keys[begin..].iter().chain(&keys[..begin]).cycle();
        for (key, _) in keys.zip(0..iterations) {
            now = now.plus_micros(1);
            operation(key, now, &mut cache);
        }
    };
    span_of(threads, keys.len(), walk)
}

/// Time from when all threads are ready to when the last is done; each walks from a place of its own.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn span_of(threads: usize, keys: usize, walk: impl Fn(usize) + Sync) -> Duration {
    let ready = Barrier::new(threads);
    let parts: Vec<usize> = (0..threads).map(|thread| thread * keys / threads).collect();
    let spans = std::thread::scope(|scope| {
        let run = |begin| {
            let (ready, walk) = (&ready, &walk);
            scope.spawn(move || {
                ready.wait();
                let start = Instant::now();
                walk(begin);
                (start, Instant::now())
            })
        };
        let running: Vec<_> = parts.into_iter().map(run).collect();
        let ended = running.into_iter().map(|thread| thread.join().expect("no operation panics"));
        ended.collect::<Vec<_>>()
    });
    let first = spans.iter().map(|span| span.0).min().expect("there is a thread");
    let last = spans.iter().map(|span| span.1).max().expect("there is a thread");
    last.duration_since(first)
}

/// Measures an operation on one thread and on two, after it was done once on every key.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    keys: &[Key],
    operation: impl Fn(&[u8], Timestamp, &mut SpanCache) + Sync,
) {
    let mut cache = SpanCache::default();
    keys.iter().for_each(|key| operation(key, START, &mut cache));
    for threads in [1, 2] {
        group.bench_function(format!("{name}/{threads}"), |bencher| {
            bencher.iter_custom(|iterations| on_threads(threads, keys, iterations, &operation));
        });
    }
}

fn quotad(group: &mut BenchmarkGroup<'_, WallTime>, keys: &[Key]) {
    let engine = Engine::new();
    measure(group, "add", keys, |key, now, _| {
        black_box(engine.add(DATABASE, key, 1, now).expect("every key is an integer"));
    });
    // The keys are there now: a bare look-up finds each.
    measure(group, "look_up", keys, |key, now, _| {
        let found = engine.read(DATABASE, key, now, |view| view.string().is_some());
        assert_eq!(found, Ok(Some(true)), "the key was added");
    });

    let engine = Engine::new();
    let units = i64::try_from(UNITS_PER_SECOND).expect("it is a small number");
    let rule = Throttle::new(units, units, 1).expect("the numbers are in range");
    measure(group, "throttle", keys, |key, now, _| {
        black_box(engine.throttle(DATABASE, key, &rule, 1, now).expect("every key is a throttle"));
    });

    let engine = Engine::new();
    let charges = [Charge { limit: engine.number(&limit()), amount: 1 }];
    measure(group, "take", keys, |key, now, cache| {
        let taken = engine.take(DATABASE, key, &charges, Mode::Exact, now, cache);
        black_box(taken.expect("every key is a subject"));
    });
    take_ahead(group, keys, &engine, &charges);
    for (name, engine) in [("take_four", Engine::new()), ("take_four_tracked", tracked())] {
        take_four(group, name, keys, &engine);
    }
}

/// An engine in front of a truth that has nothing yet, and to which nothing is flushed.
fn tracked() -> Engine {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    engine
}

/// Takes over four limits of one subject, two of them budgets.
fn take_four(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, keys: &[Key], engine: &Engine) {
    let window = Period::parse(b"1s").expect("it is a period");
    let budget = |period| Rule::budget(u64::from(u32::MAX), period, Zone::UTC, Anchor::NONE);
    let rules = [
        Some(limit().rule),
        Rule::fixed_window(UNITS_PER_SECOND, window).ok(),
        budget(CalendarPeriod::Day).ok(),
        budget(CalendarPeriod::Month).ok(),
    ];
    let charges = rules.map(|rule| {
        let rule = rule.expect("the numbers are in range");
        Charge { limit: engine.number(&Limit { unit: Unit::REQUESTS, rule }), amount: 1 }
    });
    measure(group, name, keys, |key, now, cache| {
        let taken = engine.take(DATABASE, key, &charges, Mode::Exact, now, cache);
        black_box(taken.expect("every key is a subject"));
    });
}

/// Takes on keys whose lines are loaded ahead, as in a turn of a pipeline: a walk goes from one turn's keys to the next.
fn take_ahead(group: &mut BenchmarkGroup<'_, WallTime>, keys: &[Key], engine: &Engine, charges: &[Charge]) {
    let turns: Vec<&[Key]> = keys.chunks(KEYS_AHEAD).collect();
    let walk = |begin: usize, iterations: u64| {
        let mut cache = SpanCache::default();
        let mut now = START;
        let mut left = iterations;
        for turn in turns.iter().cycle().skip(begin / KEYS_AHEAD) {
            let ahead: SmallVec<[_; KEYS_AHEAD]> =
                turn.iter().map(|key| engine.look_ahead(DATABASE, key)).collect();
            ahead.into_iter().for_each(|ahead| engine.look_closer(ahead));
            for key in *turn {
                if left == 0 {
                    return;
                }
                left -= 1;
                now = now.plus_micros(1);
                let taken = engine.take(DATABASE, key, charges, Mode::Exact, now, &mut cache);
                black_box(taken.expect("every key is a subject"));
            }
        }
    };
    for threads in [1, 2] {
        group.bench_function(format!("take_ahead/{threads}"), |bencher| {
            bencher.iter_custom(|iterations| span_of(threads, keys.len(), |begin| walk(begin, iterations)));
        });
    }
}

fn others(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, keys: &[Key], map: &impl Map) {
    measure(group, &format!("{name}_add"), keys, |key, _, _| {
        black_box(map.add(key));
    });
    // As above: only now are the keys there to be found.
    measure(group, &format!("{name}_look_up"), keys, |key, _, _| {
        assert!(map.look_up(key).is_some(), "the key was added");
    });
    let rule = limit().rule;
    map.clear();
    measure(group, &format!("{name}_take"), keys, |key, now, cache| {
        black_box(map.take(key, &rule, now, cache));
    });
}

fn engine(criterion: &mut Criterion) {
    for (name, count) in [("hot", 1), ("100k", 100_000), ("1m", 1_000_000)] {
        let keys = shuffled_keys(count);
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        group.sample_size(20);
        quotad(&mut group, &keys);
        others(&mut group, "dashmap", &keys, &Dash::default());
        others(&mut group, "mutexes", &keys, &Mutexes::default());
        group.finish();
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
