//! Random takes over several limits against a naive model: lists of what was charged, exact fractions, no packed state.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::strategy::{START, amount, step};
use crate::clock::Timestamp;
use crate::quota::{
    Anchor, CalendarPeriod, Mode, Period, Retry, Rule, Slot, SpanCache, State, Status, Zone, take,
};

/// One limit as its definition reads, with everything ever charged.
struct Naive {
    kind: NaiveKind,
    charges: Vec<(i128, i128)>,
}

enum NaiveKind {
    Rate {
        count: i128,
        period: i128,
        burst: i128,
    },
    Fixed {
        maximum: i128,
        period: i128,
    },
    Sliding {
        maximum: i128,
        period: i128,
    },
    Log {
        maximum: i128,
        period: i128,
    },
    /// Local year, month and day as text, cut to what the period distinguishes.
    Budget {
        maximum: i128,
        zone: &'static str,
        form: &'static str,
    },
}

impl Naive {
    fn sum(&self, counts: impl Fn(i128) -> bool) -> i128 {
        self.charges.iter().filter(|(time, _)| counts(*time)).map(|(_, amount)| amount).sum()
    }

    fn allows(&self, amount: i128, now: i128) -> bool {
        match self.kind {
            NaiveKind::Rate { count, period, burst } => {
                // The level in units of 1 / period of a unit, from the first charge on.
                let (mut level, mut last) = (burst * period, now);
                for (index, &(time, charged)) in self.charges.iter().enumerate() {
                    let since = if index == 0 { 0 } else { time - last };
                    level = (level + since * count).min(burst * period) - charged * period;
                    last = time;
                }
                (level + (now - last) * count).min(burst * period) >= amount * period
            }
            NaiveKind::Fixed { maximum, period } => {
                self.sum(|time| time / period == now / period) + amount <= maximum
            }
            NaiveKind::Sliding { maximum, period } => {
                let current = self.sum(|time| time / period == now / period);
                let previous = self.sum(|time| time / period == now / period - 1);
                previous * (period - now % period) <= (maximum - current - amount) * period
            }
            NaiveKind::Log { maximum, period } => self.sum(|time| time + period > now) + amount <= maximum,
            NaiveKind::Budget { maximum, zone, form } => {
                let label = |micros: i128| {
                    let instant = jiff::Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap();
                    instant.to_zoned(TimeZone::get(zone).unwrap()).strftime(form).to_string()
                };
                let current = label(now);
                self.sum(|time| label(time) == current) + amount <= maximum
            }
        }
    }
}

fn pair() -> impl Strategy<Value = (Rule, NaiveKindOf)> {
    let numbers = (1_u64..=30, 1_u64..=40, prop_oneof![1_u64..=60, 500_u64..=9_000, Just(7_000_000)]);
    (0..7_usize, numbers, prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata"])).prop_map(
        |(kind, (maximum, burst, micros), zone)| {
            let period = Period::from_micros(micros).unwrap();
            let at = Zone::parse(zone.as_bytes()).unwrap();
            let budget = |period| Rule::budget(maximum, period, at, Anchor::NONE).unwrap();
            let rule = match kind {
                0 | 1 => Rule::rate(maximum, period, Some(burst)).unwrap(),
                2 => Rule::fixed_window(maximum, period).unwrap(),
                3 => Rule::sliding_window(maximum, period).unwrap(),
                4 => Rule::log_window(maximum, period).unwrap(),
                5 => budget(CalendarPeriod::Day),
                _ => budget(CalendarPeriod::Month),
            };
            (rule, NaiveKindOf { kind, maximum, burst, micros, zone })
        },
    )
}

/// What the naive side of a pair is made of, since it holds no copies.
#[derive(Clone, Copy, Debug)]
struct NaiveKindOf {
    kind: usize,
    maximum: u64,
    burst: u64,
    micros: u64,
    zone: &'static str,
}

impl NaiveKindOf {
    fn make(self) -> Naive {
        let (maximum, period) = (i128::from(self.maximum), i128::from(self.micros));
        let kind = match self.kind {
            0 | 1 => NaiveKind::Rate { count: maximum, period, burst: i128::from(self.burst) },
            2 => NaiveKind::Fixed { maximum, period },
            3 => NaiveKind::Sliding { maximum, period },
            4 => NaiveKind::Log { maximum, period },
            5 => NaiveKind::Budget { maximum, zone: self.zone, form: "%Y-%m-%d" },
            _ => NaiveKind::Budget { maximum, zone: self.zone, form: "%Y-%m" },
        };
        Naive { kind, charges: Vec::new() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// RATE rounds a unit's cost up by less than 2^-64 us, so it may allow what the exact fraction allows one
    /// microsecond later, and never anything else; all other kinds decide as the model does.
    #[test]
    fn takes_over_several_limits_decide_as_the_model(
        limits in prop::collection::vec(pair(), 1..5),
        takes in prop::collection::vec((step(), prop::collection::vec(amount(), 5)), 1..60),
    ) {
        let cache = &mut SpanCache::new();
        let mut states: Vec<State> = limits.iter().map(|(rule, _)| rule.fresh()).collect();
        let mut naive: Vec<Naive> = limits.iter().map(|(_, parts)| parts.make()).collect();
        let mut now = START;
        for (step, amounts) in takes {
            now += step;
            let at = i128::from(now);
            let mut slots: Vec<Slot<'_>> = limits
                .iter()
                .zip(&mut states)
                .zip(&amounts)
                .map(|(((rule, _), state), &amount)| Slot { rule, amount, state })
                .collect();
            let verdict = take(&mut slots, Mode::Exact, Timestamp::from_micros(now), cache);
            let fits = |(model, &amount): (&Naive, &u64)| amount == 0 || model.allows(i128::from(amount), at);
            let expected = naive.iter().zip(&amounts).all(fits);
            let allowed = verdict.status == Status::Allowed;
            if allowed != expected {
                prop_assert!(!allowed, "granted what the model denies at {}", now);
                prop_assert!(matches!(limits[verdict.decided_by].0, Rule::Rate(_)));
                prop_assert_eq!(verdict.retry, Retry::AfterMicros(1));
            }
            if allowed {
                for (model, &amount) in naive.iter_mut().zip(&amounts) {
                    model.charges.push((at, i128::from(amount)));
                }
            }
        }
    }
}
