//! Limits of one slot that differ in burst and count share one state.

use proptest::prelude::*;

use super::START;
use crate::engine::{Charge, Engine};
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Unit};

/// Microseconds of the period that both rates share.
const PERIOD_MICROS: u64 = 10_000_000;

fn rate(count: u64, burst: u64) -> Limit {
    let period = Period::from_micros(PERIOD_MICROS).unwrap();
    Limit { unit: Unit::REQUESTS, rule: Rule::rate(count, period, Some(burst)).unwrap() }
}

/// A limit that never denies and makes every take one over several.
fn plenty() -> Limit {
    let day = Period::from_secs(86_400).unwrap();
    Limit { unit: Unit::REQUESTS, rule: Rule::fixed_window(1 << 40, day).unwrap() }
}

fn granted(engine: &Engine, limits: &[Limit], amount: u64, mode: Mode, micros: u64) -> u64 {
    let charges: Vec<_> = limits.iter().map(|limit| Charge { limit: engine.number(limit), amount }).collect();
    let now = START.plus_micros(micros);
    let taken = engine.take(0, b"subject", &charges, mode, now, &mut SpanCache::default());
    taken.expect("the key is a subject").granted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A unit of a rate costs the time in which it refills. Whoever asks, no more time is spent than went by and the larger
    /// bucket holds.
    #[test]
    fn asking_with_one_rate_pays_nothing_back_to_another(
        counts in prop::array::uniform2(1_u64..50),
        bursts in prop::array::uniform2(1_u64..200),
        takes in prop::collection::vec((0_u64..3_000_000, 0..2_usize, 0_u64..100, any::<[bool; 2]>()), 1..60),
    ) {
        let engine = Engine::new();
        let rates = [rate(counts[0], bursts[0]), rate(counts[1], bursts[1])];
        let micros_of = |which: usize, units: u64| {
            (u128::from(units) * u128::from(PERIOD_MICROS)).div_ceil(u128::from(counts[which]))
        };
        let largest = micros_of(0, bursts[0]).max(micros_of(1, bursts[1]));
        let (mut now, mut spent) = (0, 0);
        for (step, which, amount, [several, at_most]) in takes {
            now += step;
            let mode = if at_most { Mode::AtMost } else { Mode::Exact };
            let limits = if several { vec![rates[which], plenty()] } else { vec![rates[which]] };
            let granted = granted(&engine, &limits, amount, mode, now);
            // Rounded down: where the count changes, a rest of less than a microsecond changes its meaning.
            spent += micros_of(which, granted).saturating_sub(2);
            prop_assert!(spent <= largest + u128::from(now), "{spent} us of {largest} and {now}");
        }
    }
}

#[test]
fn force_with_a_smaller_rate_forgives_nothing() {
    for several in [false, true] {
        let engine = Engine::new();
        let with = |limit: Limit| if several { vec![limit, plenty()] } else { vec![limit] };
        let (large, small) = (with(rate(10, 100)), with(rate(10, 10)));
        assert_eq!(granted(&engine, &large, 100, Mode::Exact, 0), 100);
        for micros in 0..10 {
            assert_eq!(granted(&engine, &small, 1, Mode::Force, micros), 1);
            assert_eq!(granted(&engine, &small, 1, Mode::Exact, micros), 0);
            assert_eq!(granted(&engine, &large, 100, Mode::AtMost, micros), 0);
        }
        assert_eq!(granted(&engine, &large, 100, Mode::AtMost, PERIOD_MICROS), 10);
    }
}
