//! CL.THROTTLE as redis-cell 0.5 decides it, in nanoseconds, and GCRA by the same rule and state.
//!
//! The word is one arrival time in nanoseconds since the epoch. One that has passed reads as fresh, as redis-cell's key
//! has expired then.

use std::fmt;

use crate::clock::Timestamp;

/// Nanoseconds of a second.
const SECOND_NANOS: i64 = 1_000_000_000;

/// Nanoseconds of a millisecond: redis-cell tells seconds, one more where whole milliseconds are left over.
const MILLI_NANOS: i64 = 1_000_000;

/// A rate and a burst, as CL.THROTTLE and GCRA name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Nanoseconds between two units at exactly the rate, rounded down; not 0.
    emission: i64,
    /// How far the arrival time may lie ahead of now: the emission times the capacity.
    tolerance: i64,
    /// The capacity, `max_burst + 1`.
    capacity: i64,
}

/// Why no decision can be made; the texts follow `ERR `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleError {
    /// A negative burst.
    Burst(i64),
    /// A count of zero or less.
    Count(i64),
    /// A period of zero or less.
    Period(i64),
    /// More than one unit a nanosecond.
    RateTooHigh,
    /// The numbers together do not fit 64 bits of nanoseconds.
    Overflow,
}

/// What CL.THROTTLE answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleVerdict {
    /// Whether it was denied.
    pub limited: bool,
    /// The capacity.
    pub limit: i64,
    /// Units that could be taken now, after this decision.
    pub remaining: i64,
    /// Nanoseconds until the quantity fits; `None` when it was allowed or never fits.
    pub retry_after_ns: Option<i64>,
    /// Nanoseconds until the state equals a fresh one.
    pub reset_after_ns: i64,
}

impl Throttle {
    /// `count` units per `period_s` seconds and `max_burst` more at once.
    ///
    /// # Errors
    /// [`ThrottleError`] for a negative burst, a count or period that is not positive, or numbers too large.
    pub fn new(max_burst: i64, count: i64, period_s: i64) -> Result<Self, ThrottleError> {
        if period_s <= 0 {
            return Err(ThrottleError::Period(period_s));
        }
        Self::gcra(max_burst, count, period_s.checked_mul(SECOND_NANOS).ok_or(ThrottleError::Overflow)?)
    }

    /// `tokens_per_period` units per `period_ns` nanoseconds and `max_burst` more at once.
    ///
    /// # Errors
    /// As [`Throttle::new`].
    pub fn gcra(max_burst: i64, tokens_per_period: i64, period_ns: i64) -> Result<Self, ThrottleError> {
        if max_burst < 0 {
            return Err(ThrottleError::Burst(max_burst));
        }
        if tokens_per_period <= 0 {
            return Err(ThrottleError::Count(tokens_per_period));
        }
        if period_ns <= 0 {
            return Err(ThrottleError::Period(period_ns));
        }
        let emission = period_ns / tokens_per_period;
        if emission == 0 {
            return Err(ThrottleError::RateTooHigh);
        }
        let capacity = max_burst.checked_add(1).ok_or(ThrottleError::Overflow)?;
        let tolerance = emission.checked_mul(capacity).ok_or(ThrottleError::Overflow)?;
        Ok(Self { emission, tolerance, capacity })
    }

    /// Decides `quantity` and gives the new word where it changes. 0 peeks; a negative quantity gives back, at most to
    /// a fresh state.
    ///
    /// # Errors
    /// [`ThrottleError::Overflow`]; nothing changes.
    #[inline]
    pub fn decide(
        &self,
        word: u128,
        quantity: i64,
        now: Timestamp,
    ) -> Result<(Option<u128>, ThrottleVerdict), ThrottleError> {
        self.decide_nanos(word, quantity, now).ok_or(ThrottleError::Overflow)
    }

    #[inline]
    fn decide_nanos(
        &self,
        word: u128,
        quantity: i64,
        now: Timestamp,
    ) -> Option<(Option<u128>, ThrottleVerdict)> {
        let now = i64::try_from(now.as_micros()).ok()?.checked_mul(1_000)?;
        let arrival = i64::try_from(word).unwrap_or(i64::MAX).max(now);
        let increment = self.emission.checked_mul(quantity)?;
        let next_arrival = arrival.checked_add(increment)?;
        let early = next_arrival.checked_sub(self.tolerance)?.checked_sub(now)?;
        let limited = early > 0;
        let fits_ever = increment <= self.tolerance;
        let reset_after_ns = if limited { arrival - now } else { next_arrival.max(now) - now };
        let spare = self.tolerance - reset_after_ns;
        let verdict = ThrottleVerdict {
            limited,
            limit: self.capacity,
            remaining: (spare / self.emission).max(0),
            retry_after_ns: (limited && fits_ever).then_some(early),
            reset_after_ns,
        };
        let changed = !limited && quantity != 0;
        let next_word = if next_arrival > now { u128::from(next_arrival.unsigned_abs()) } else { 0 };
        Some((changed.then_some(next_word), verdict))
    }

    /// From when on the word reads as fresh; never `None`, since every arrival time passes.
    #[must_use]
    pub fn fresh_at(word: u128) -> Option<Timestamp> {
        let nanos = u64::try_from(word).unwrap_or(u64::MAX);
        Some(Timestamp::from_micros(nanos.div_ceil(1_000)))
    }
}

impl ThrottleVerdict {
    /// The retry as CL.THROTTLE tells it, in seconds; -1 for none.
    #[must_use]
    pub fn retry_after_seconds(&self) -> i64 {
        self.retry_after_ns.map_or(-1, seconds_up)
    }

    /// The reset as CL.THROTTLE tells it, in seconds.
    #[must_use]
    pub const fn reset_after_seconds(&self) -> i64 {
        seconds_up(self.reset_after_ns)
    }
}

/// Whole seconds, one more where a whole millisecond or more is left over: redis-cell's rounding.
const fn seconds_up(nanos: i64) -> i64 {
    let more = nanos % SECOND_NANOS >= MILLI_NANOS;
    nanos / SECOND_NANOS + if more { 1 } else { 0 }
}

impl fmt::Display for ThrottleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Burst(given) => write!(formatter, "max_burst {given} must be 0 or more"),
            Self::Count(given) => write!(formatter, "count per period {given} must be 1 or more"),
            Self::Period(given) => write!(formatter, "period {given} must be greater than 0"),
            Self::RateTooHigh => formatter.write_str("rate must be at most one per nanosecond"),
            Self::Overflow => formatter.write_str("burst, rate and quantity together are too large"),
        }
    }
}

impl std::error::Error for ThrottleError {}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000_000;

    fn reply(verdict: &ThrottleVerdict) -> [i64; 5] {
        let limited = i64::from(verdict.limited);
        let (retry, reset) = (verdict.retry_after_seconds(), verdict.reset_after_seconds());
        [limited, verdict.limit, verdict.remaining, retry, reset]
    }

    /// Takes on one key, each (milliseconds since the start, quantity, reply).
    fn check(throttle: (i64, i64, i64), takes: &[(u64, i64, [i64; 5])]) {
        let throttle = Throttle::new(throttle.0, throttle.1, throttle.2).unwrap();
        let mut word = 0;
        for (at, (millis, quantity, expected)) in takes.iter().enumerate() {
            let now = Timestamp::from_micros(START + millis * 1_000);
            let (next, verdict) = throttle.decide(word, *quantity, now).unwrap();
            assert_eq!(reply(&verdict), *expected, "take {at}");
            word = next.unwrap_or(word);
        }
    }

    #[test]
    fn the_documented_first_call() {
        check((15, 30, 60), &[(0, 1, [0, 16, 15, -1, 2]), (0, 1, [0, 16, 14, -1, 4])]);
    }

    #[test]
    fn a_bucket_of_five_at_one_a_second() {
        check(
            (4, 1, 1),
            &[
                (0, 6, [1, 5, 5, -1, 0]),
                (0, 5, [0, 5, 0, -1, 5]),
                (0, 1, [1, 5, 0, 1, 5]),
                (999, 1, [1, 5, 0, 1, 5]),
                (1_000, 1, [0, 5, 0, -1, 5]),
                (4_000, 1, [0, 5, 2, -1, 3]),
                (4_000, 0, [0, 5, 2, -1, 3]),
                (4_100, 5, [1, 5, 2, 3, 3]),
                (4_100, -1, [0, 5, 3, -1, 2]),
                (4_100, -100, [0, 5, 5, -1, 0]),
                (4_100, 5, [0, 5, 0, -1, 5]),
            ],
        );
    }

    #[test]
    fn retry_is_exact_to_the_microsecond() {
        let throttle = Throttle::new(0, 3, 1).unwrap();
        let now = Timestamp::from_micros(START);
        let (word, _) = throttle.decide(0, 1, now).unwrap();
        let (denied, verdict) = throttle.decide(word.unwrap(), 1, now).unwrap();
        assert_eq!((denied, verdict.retry_after_ns), (None, Some(333_333_333)));
        let early = throttle.decide(word.unwrap(), 1, now.plus_micros(333_333)).unwrap();
        assert!(early.1.limited);
        assert!(!throttle.decide(word.unwrap(), 1, now.plus_micros(333_334)).unwrap().1.limited);
        assert_eq!(Throttle::fresh_at(word.unwrap()), Some(now.plus_micros(333_334)));
    }

    #[test]
    fn seconds_round_up_from_a_millisecond_on() {
        assert_eq!(seconds_up(0), 0);
        assert_eq!(seconds_up(999_999), 0);
        assert_eq!(seconds_up(1_000_000), 1);
        assert_eq!(seconds_up(2_000_000_000), 2);
        assert_eq!(seconds_up(2_000_999_999), 2);
    }

    #[test]
    fn bad_numbers_are_errors() {
        assert_eq!(Throttle::new(-1, 1, 1), Err(ThrottleError::Burst(-1)));
        assert_eq!(Throttle::new(0, 0, 1), Err(ThrottleError::Count(0)));
        assert_eq!(Throttle::new(0, -3, 1), Err(ThrottleError::Count(-3)));
        assert_eq!(Throttle::new(0, 1, 0), Err(ThrottleError::Period(0)));
        assert_eq!(Throttle::new(0, i64::MAX, 1), Err(ThrottleError::RateTooHigh));
        assert_eq!(Throttle::new(i64::MAX, 1, 1), Err(ThrottleError::Overflow));
        assert_eq!(Throttle::new(1, 1, i64::MAX), Err(ThrottleError::Overflow));
        let throttle = Throttle::new(15, 30, 60).unwrap();
        let now = Timestamp::from_micros(START);
        for quantity in [i64::MIN, i64::MAX] {
            assert_eq!(throttle.decide(0, quantity, now), Err(ThrottleError::Overflow));
        }
        assert_eq!(throttle.decide(0, 1, Timestamp::from_micros(u64::MAX)), Err(ThrottleError::Overflow));
        for word in [1, u128::MAX, u128::from(u64::MAX), u128::from(i64::MAX.unsigned_abs())] {
            let _ = throttle.decide(word, 1, now);
        }
    }
}
