//! The stated bound of every kind, checked over every stretch of random histories.

use proptest::prelude::*;

use super::strategy::{history, rule};
use crate::clock::Timestamp;
use crate::quota::{Mode, Period, Rule, Slot, SpanCache, take};

/// What was granted when.
type Grants = Vec<(Timestamp, u64)>;

fn granted(rule: &Rule, takes: &[(Timestamp, u64)], mode: Mode, cache: &mut SpanCache) -> Grants {
    let mut state = rule.fresh();
    let mut take_at = |&(now, amount): &(Timestamp, u64)| {
        let verdict = take(&mut [Slot { rule, amount, state: &mut state }], mode, now, cache);
        (now, verdict.granted)
    };
    takes.iter().map(&mut take_at).collect()
}

fn sum<'a>(grants: impl IntoIterator<Item = &'a (Timestamp, u64)>) -> u128 {
    grants.into_iter().map(|(_, amount)| u128::from(*amount)).sum()
}

/// The most granted in any stretch `[t, t + length)`.
fn most_within(grants: &Grants, length: Period) -> u128 {
    let stretch = |from: usize| {
        let start = grants[from].0;
        sum(grants[from..].iter().take_while(|(time, _)| time.micros_since(start) < length.as_micros()))
    };
    (0..grants.len()).map(stretch).max().unwrap_or(0)
}

/// The most granted in one aligned window.
fn most_aligned(grants: &Grants, length: Period) -> u128 {
    let window = |time: Timestamp| time.as_micros() / length.as_micros();
    let one =
        |&(time, _): &(Timestamp, u64)| sum(grants.iter().filter(|(at, _)| window(*at) == window(time)));
    grants.iter().map(one).max().unwrap_or(0)
}

fn check(rule: &Rule, grants: &Grants, cache: &mut SpanCache) {
    let maximum = u128::from(rule.maximum());
    match rule {
        Rule::Rate(rate) => {
            for from in 0..grants.len() {
                for to in from..grants.len() {
                    let elapsed = u128::from(grants[to].0.micros_since(grants[from].0));
                    let refilled = elapsed * u128::from(rate.count()) / u128::from(rate.period().as_micros());
                    assert!(sum(&grants[from..=to]) <= maximum + refilled);
                }
            }
        }
        Rule::FixedWindow(window) => {
            assert!(most_aligned(grants, window.period()) <= maximum);
            assert!(most_within(grants, window.period()) <= 2 * maximum);
        }
        Rule::SlidingWindow(window) => {
            assert!(most_aligned(grants, window.period()) <= maximum);
            assert!(most_within(grants, window.period()) < 2 * maximum.max(1));
        }
        Rule::LogWindow(window) => assert!(most_within(grants, window.period()) <= maximum),
        Rule::Budget(budget) => {
            let mut index = |time| cache.span(budget.period(), budget.zone(), budget.anchor(), time).index;
            for (time, _) in grants {
                let same = index(*time);
                assert!(sum(grants.iter().filter(|(at, _)| index(*at) == same)) <= maximum);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_stretch_admits_more_than_the_bound(
        rule in rule(), takes in history(60), mode in prop::sample::select(vec![Mode::Exact, Mode::AtMost]),
    ) {
        let cache = &mut SpanCache::new();
        let grants = granted(&rule, &takes, mode, cache);
        check(&rule, &grants, cache);
    }
}

#[test]
fn a_rate_that_does_not_divide_its_period_keeps_its_bound_and_its_speed() {
    for (count, period_secs) in [(7, 60), (7_000_000, 60), (2_000_003, 1), (3, 86_400)] {
        let period = Period::from_secs(period_secs).unwrap();
        let rule = Rule::rate(count, period, Some(5)).unwrap();
        // Asked for five every so often for two periods, a stretch in which the bound is met but never passed.
        let step = (period.as_micros() / count / 3).max(1);
        let takes: Vec<_> =
            (0..2_000).map(|at| (Timestamp::from_micros(1_700_000_000_000_000 + at * step), 5)).collect();
        let grants = granted(&rule, &takes, Mode::AtMost, &mut SpanCache::new());
        let elapsed = u128::from(1_999 * step);
        let bound = 5 + elapsed * u128::from(count) / u128::from(period.as_micros());
        assert!(sum(&grants) <= bound);
        // Where units come slower than they are asked for, nothing is lost to rounding.
        if period.as_micros() / count > 1 {
            assert!(sum(&grants) + 1 >= bound, "{} of {bound}", sum(&grants));
        }
    }
}
