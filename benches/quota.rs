//! How long each kind of limit takes to decide and charge, without keys, locks or requests around it.
//!
//! `allowed` charges each time; `denied` asks a limit that is used up. The clock moves a microsecond a decision. Every kind runs
//! through the decision that its takes run through: one word by [`take_word`], a log and several limits by [`take`].
#![allow(missing_docs, reason = "criterion's macros make an item without documentation")]

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use quotad::clock::Timestamp;
use quotad::quota::{
    Anchor, CalendarPeriod, Limit, Mode, Period, Rule, Slot, SpanCache, State, Status, Throttle, Verdict,
    Zone, limits, take, take_word,
};

/// 2026-11-20, 12:00:00 UTC.
const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

/// So much that no run uses it up.
const PLENTY: u64 = 1 << 40;

/// Four limits as a gateway would put them on one subject.
const FOUR_LIMITS: &str = "RATE 1000000000000 PER 60s WINDOW 1000000000000 PER 60s FIXED \
                           WINDOW 1000000000000 PER 1h SLIDING BUDGET 1000000000000 PER MONTH";

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    expected: Status,
    mut decide: impl FnMut(Timestamp, &mut SpanCache) -> Verdict,
) {
    let mut now = START;
    let mut cache = SpanCache::default();
    assert_eq!(decide(now, &mut cache).status, expected, "{name}");
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            now = now.plus_micros(1);
            black_box(decide(now, &mut cache))
        });
    });
}

fn rules(maximum: u64, period: Period) -> [(&'static str, Rule); 4] {
    let month = Rule::budget(maximum, CalendarPeriod::Month, Zone::UTC, Anchor::NONE);
    [
        ("rate", Rule::rate(maximum, period, None)),
        ("fixed_window", Rule::fixed_window(maximum, period)),
        ("sliding_window", Rule::sliding_window(maximum, period)),
        ("budget", month),
    ]
    .map(|(name, rule)| (name, rule.expect("the numbers are in range")))
}

fn one_word(criterion: &mut Criterion) {
    let hour = Period::parse(b"1h").expect("it is a period");
    for (status, maximum) in [(Status::Allowed, PLENTY), (Status::Denied, 1)] {
        let mut group =
            criterion.benchmark_group(if status == Status::Allowed { "allowed" } else { "denied" });
        for (name, rule) in rules(maximum, hour) {
            let used_up = rule.charge_word(0, 1, START, &mut SpanCache::default());
            let mut word = if status == Status::Allowed { 0 } else { used_up };
            bench(&mut group, name, status, |now, cache| {
                let (next, verdict) =
                    take_word(&rule, black_box(word), black_box(1), Mode::Exact, now, cache);
                word = next.unwrap_or(word);
                verdict
            });
        }
        group.finish();
    }
}

/// A log of each length is full and loses its oldest charge with each that is added, or is full and refuses.
fn log(criterion: &mut Criterion) {
    for length in [10_u32, 1_000] {
        let window = Period::from_micros(u64::from(length)).expect("it is a period");
        let rule = Rule::log_window(u64::from(length), window).expect("the numbers are in range");
        let mut state = rule.fresh();
        let charge = |state: &mut State, now, cache: &mut SpanCache| {
            take(&mut [Slot { rule: &rule, amount: 1, state }], Mode::Exact, now, cache)
        };
        let mut group = criterion.benchmark_group("allowed");
        bench(&mut group, &format!("log_window_of_{length}"), Status::Allowed, |now, cache| {
            charge(&mut state, now, cache)
        });
        group.finish();
    }
}

fn several(criterion: &mut Criterion) {
    let words: Vec<&[u8]> = FOUR_LIMITS.split(' ').map(str::as_bytes).collect();
    let (list, _) = limits(words.iter().copied()).expect("they are limits");
    let list: Vec<Limit> = list.iter().copied().collect();
    let mut states: Vec<State> = list.iter().map(|limit| limit.rule.fresh()).collect();
    let mut group = criterion.benchmark_group("allowed");
    bench(&mut group, "four_limits", Status::Allowed, |now, cache| {
        let mut states = states.iter_mut();
        let mut slots: [Slot<'_>; 4] = std::array::from_fn(|index| Slot {
            rule: &list[index].rule,
            amount: 1,
            state: states.next().expect("each limit has a state"),
        });
        take(&mut slots, Mode::Exact, now, cache)
    });
    group.finish();
}

fn throttle(criterion: &mut Criterion) {
    // The most: one a nanosecond, of which a thousand come back between two decisions.
    let many = 1_000_000_000;
    let rule = Throttle::new(many, many, 1).expect("the numbers are in range");
    let mut word = 0;
    let mut now = START;
    criterion.bench_function("allowed/throttle", |bencher| {
        bencher.iter(|| {
            now = now.plus_micros(1);
            let (next, verdict) = rule.decide(black_box(word), black_box(1), now).expect("it fits");
            word = next.unwrap_or(word);
            black_box(verdict)
        });
    });
}

criterion_group!(benches, one_word, log, several, throttle);
criterion_main!(benches);
