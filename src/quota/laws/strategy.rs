//! Random rules, times and histories, with the edges in them.

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::quota::{Anchor, CalendarPeriod, MAX_AMOUNT, Period, Rule, Zone};

/// 2023-11-14, some time inside every window.
pub(super) const START: u64 = 1_700_000_123_456_789;

/// Zones with daylight saving, half hours, skipped days and none of it.
pub(super) const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "-09:30",
];

pub(super) fn zone() -> impl Strategy<Value = Zone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| Zone::parse(name.as_bytes()).unwrap())
}

pub(super) fn calendar() -> impl Strategy<Value = (CalendarPeriod, Zone, Anchor)> {
    (prop::sample::select(&CalendarPeriod::ALL[..]), zone(), 0_u64..=31).prop_map(|(period, zone, day)| {
        let number = match period {
            CalendarPeriod::Week => day % 8,
            CalendarPeriod::Month => day,
            CalendarPeriod::Year if day > 0 => 100 * (1 + day % 12) + day.min(28),
            _ => 0,
        };
        (period, zone, Anchor::new(period, number).unwrap())
    })
}

/// Periods from 1 us to a hundred years, most of them short enough for a history to cross.
pub(super) fn period() -> impl Strategy<Value = Period> {
    let micros = prop_oneof![
        4 => 1_u64..=50,
        4 => 900_u64..=5_000,
        4 => prop::sample::select(vec![1_000, 999_983, 1_000_000, 60_000_000, 86_400_000_000]),
        1 => Just(Period::MAX.as_micros()),
    ];
    micros.prop_map(|micros| Period::from_micros(micros).unwrap())
}

fn small_or_edge(least: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => least..=20,
        2 => 1_000_u64..=1_000_000,
        1 => prop::sample::select(vec![least, 1, MAX_AMOUNT - 1, MAX_AMOUNT]),
    ]
}

/// A rule of any kind; numbers that make none are drawn again.
pub(super) fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (small_or_edge(1), period(), prop::option::of(small_or_edge(1)))
            .prop_filter_map("refills too long", |(n, period, burst)| Rule::rate(n, period, burst).ok()),
        (small_or_edge(0), period()).prop_map(|(n, period)| Rule::fixed_window(n, period).unwrap()),
        (small_or_edge(0), period())
            .prop_filter_map("has too many bits", |(n, period)| Rule::sliding_window(n, period).ok()),
        (small_or_edge(0), period()).prop_map(|(n, period)| Rule::log_window(n, period).unwrap()),
        (small_or_edge(0), calendar())
            .prop_map(|(n, (period, zone, anchor))| Rule::budget(n, period, zone, anchor).unwrap()),
    ]
}

pub(super) fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => 0_u64..=6,
        3 => 7_u64..=25,
        1 => prop::sample::select(vec![MAX_AMOUNT - 1, MAX_AMOUNT]),
    ]
}

/// How far time goes on before a take.
pub(super) fn step() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0_u64),
        6 => 1_u64..=20,
        4 => 100_u64..=6_000,
        2 => 100_000_u64..=40_000_000,
        1 => prop::sample::select(vec![3_600_000_000, 86_400_000_000, 40 * 86_400_000_000]),
    ]
}

/// Takes: (time, amount), times not going back.
pub(super) fn history(takes: usize) -> impl Strategy<Value = Vec<(Timestamp, u64)>> {
    prop::collection::vec((step(), amount()), 1..takes).prop_map(|steps| {
        let mut now = START;
        let advance = |(step, amount): (u64, u64)| {
            now += step;
            (Timestamp::from_micros(now), amount)
        };
        steps.into_iter().map(advance).collect()
    })
}
