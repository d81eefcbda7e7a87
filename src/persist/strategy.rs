//! Random limits, values and batches for the tests, with the edges in them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::batch::{Batch, ClosedPeriod};
use super::record::{Record, StoredValue};
use crate::clock::Timestamp;
use crate::engine::Expiry;
use crate::engine::value::{Content, QuotaSlot, QuotaSlots, Text};
use crate::quota::{
    Anchor, CalendarPeriod, Limit, LogState, MAX_AMOUNT, MAX_LIMITS, Period, Rule, State, Unit, Zone,
};

/// Zones of every kind of name.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/Argentina/ComodRivadavia", "-09:30"];

fn period() -> impl Strategy<Value = Period> {
    let edges = prop::sample::select(vec![1, 1_000_000, 86_400_000_000, Period::MAX.as_micros()]);
    prop_oneof![1_u64..=10_000_000, edges].prop_map(|micros| Period::from_micros(micros).unwrap())
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..=1_000_000, 1 => prop::sample::select(vec![1, MAX_AMOUNT - 1, MAX_AMOUNT])]
}

fn budget() -> impl Strategy<Value = Rule> {
    let zone = prop::sample::select(&ZONES[..]);
    (amount(), prop::sample::select(&CalendarPeriod::ALL[..]), zone, 1_u64..=28).prop_map(
        |(maximum, period, zone, day)| {
            let number = match period {
                CalendarPeriod::Week => day % 7,
                CalendarPeriod::Month => day,
                CalendarPeriod::Year => 200 + day,
                _ => 0,
            };
            let zone = Zone::parse(zone.as_bytes()).unwrap();
            Rule::budget(maximum, period, zone, Anchor::new(period, number).unwrap()).unwrap()
        },
    )
}

pub(crate) fn limit() -> impl Strategy<Value = Limit> {
    let rule = prop_oneof![
        (amount(), period(), prop::option::of(amount()))
            .prop_filter_map("refills too long", |(count, period, burst)| {
                Rule::rate(count, period, burst).ok()
            }),
        (amount(), period()).prop_map(|(n, period)| Rule::fixed_window(n, period).unwrap()),
        (amount(), period())
            .prop_filter_map("too many bits", |(n, period)| Rule::sliding_window(n, period).ok()),
        (amount(), period()).prop_map(|(n, period)| Rule::log_window(n, period).unwrap()),
        budget(),
    ];
    let unit =
        prop::sample::select(vec!["requests", "a", "gpt-4.1_tokens", "01234567890123456789012345678901"]);
    (unit, rule).prop_map(|(unit, rule)| Limit { unit: Unit::parse(unit.as_bytes()).unwrap(), rule })
}

fn log() -> impl Strategy<Value = State> {
    prop::collection::btree_map(any::<u64>(), 1_u64..=1 << 50, 0..20).prop_map(|takes| {
        let takes = takes.into_iter().map(|(time, amount)| (Timestamp::from_micros(time), amount));
        State::Log(Box::new(LogState::from_takes(takes).unwrap()))
    })
}

fn slots() -> impl Strategy<Value = QuotaSlots> {
    let state = prop_oneof![any::<u128>().prop_map(State::Word), log()];
    prop::collection::vec((limit(), state), 0..MAX_LIMITS).prop_map(|drawn| {
        let mut slots = QuotaSlots::default();
        for (limit, state) in drawn {
            if slots.position(&limit).is_none() {
                slots.push(QuotaSlot::new(limit, state));
            }
        }
        slots
    })
}

/// A value of any kind.
pub(crate) fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        any::<i64>().prop_map(Content::Integer),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Content::Text(Text::new(&bytes))),
        any::<u128>().prop_map(Content::Throttle),
        (limit(), any::<u128>()).prop_map(|(limit, word)| Content::Quota(limit, word)),
        slots().prop_map(Content::Quotas),
    ]
}

/// A value of any kind with any expiry.
pub(crate) fn value() -> impl Strategy<Value = StoredValue> {
    let expiry = prop_oneof![Just(Expiry::NEVER), any::<u64>().prop_map(Expiry::at_millis)];
    (content(), expiry).prop_map(|(content, expiry)| StoredValue { content, expiry })
}

fn closed_period() -> impl Strategy<Value = ClosedPeriod> {
    let subject = prop::collection::vec(any::<u8>(), 0..20);
    (0_u8..16, subject, limit(), any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(database, subject, limit, start, length, used)| ClosedPeriod {
            database,
            subject: subject.into(),
            limit,
            start: Timestamp::from_micros(start.into()),
            end: Timestamp::from_micros(u64::from(start) + u64::from(length)),
            used,
        },
    )
}

/// A closed period of a budget, as an engine leaves it.
pub(crate) fn budget_period() -> impl Strategy<Value = ClosedPeriod> {
    let is_budget = |period: &ClosedPeriod| matches!(period.limit.rule, crate::quota::Rule::Budget(_));
    let ends = |mut period: ClosedPeriod| {
        period.end = period.end.plus_micros(1);
        period
    };
    closed_period().prop_filter("a budget", is_budget).prop_map(ends)
}

/// A batch with its records in their order.
pub(super) fn batch() -> impl Strategy<Value = Batch> {
    let key = (0_u8..16, prop::collection::vec(any::<u8>(), 0..20));
    let records = prop::collection::btree_map(key, prop::option::of(value()), 0..12);
    let record = |((database, key), value): ((u8, Vec<u8>), _)| Record { database, key: key.into(), value };
    (
        any::<u64>(),
        (any::<u64>(), any::<u64>()),
        any::<u64>(),
        prop::collection::vec(0_u8..16, 0..4),
        records.prop_map(move |records: BTreeMap<_, _>| records.into_iter().map(record).collect::<Vec<_>>()),
        prop::collection::vec(closed_period(), 0..4),
    )
        .prop_map(|(epoch, (one, other), cut_at, flushed_databases, records, closed_periods)| Batch {
            epoch,
            first_seq: one.min(other),
            seq: one.max(other),
            cut_at: Timestamp::from_micros(cut_at),
            flushed_databases,
            records: records.into(),
            closed_periods,
        })
}
