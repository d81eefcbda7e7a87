//! RATE: units refill continuously into a bucket (the generic cell rate algorithm).
//!
//! The word is one point in time, when the bucket is full again: whole microseconds above, and below a rest in
//! `1 / count` microseconds. In that measure a unit costs exactly `period`, so nothing is ever rounded: in any stretch at
//! most `burst + count * elapsed / period` units are admitted, a fresh bucket admits `burst` single units at once, and
//! after exactly one period `count` units are there again, also where `count` does not divide the period.
//!
//! Where a limit's count changes, a rest that was kept stands for another part of one microsecond.

use std::num::NonZeroU64;

use super::{OneWord, Room, halves};
use crate::clock::Timestamp;
use crate::quota::error::LimitError;
use crate::quota::limit::MAX_AMOUNT;
use crate::quota::period::Period;
use crate::quota::span::SpanCache;
use crate::quota::verdict::Retry;

/// `count` units per period, at most `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU64,
    period: Period,
    burst: NonZeroU64,
    /// How much further ahead than this limit explains a state may lie, since another limit wrote it; 0 but in a decision.
    slack_micros: u64,
}

impl Rate {
    /// `count` units per `period`; the bucket holds `burst`, or `count` where it is not named.
    ///
    /// # Errors
    /// [`LimitError`] when a number is 0 or over `MAX_AMOUNT`, or the bucket would take over a hundred years to fill.
    pub fn new(count: u64, period: Period, burst: Option<u64>) -> Result<Self, LimitError> {
        LimitError::check("rate", count, 1, MAX_AMOUNT)?;
        let burst = LimitError::check("burst", burst.unwrap_or(count), 1, MAX_AMOUNT)?;
        let refill = u128::from(burst) * u128::from(period.as_micros());
        if refill > u128::from(Period::MAX.as_micros()) * u128::from(count) {
            return Err(LimitError::RefillTooLong { count, burst });
        }
        let count = NonZeroU64::new(count).expect("it was checked above");
        let burst = NonZeroU64::new(burst).expect("it was checked above");
        Ok(Self { count, period, burst, slack_micros: 0 })
    }

    /// Units per period.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count.get()
    }

    /// The period in which `count` units refill.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// Units the bucket holds.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst.get()
    }

    /// This limit for a decision on a state that `writer` left: what that limit explains is no wrong clock's work, or a smaller
    /// limit would shorten what a larger one is owed, and be paid back when that is asked again.
    #[must_use]
    pub(in crate::quota) fn after(&self, writer: &Self) -> Self {
        Self { slack_micros: writer.furthest_micros().saturating_sub(self.furthest_micros()), ..*self }
    }

    /// Whether a state lies no further ahead of `now` than charges of this limit and a clock's step inside a period explain.
    pub(in crate::quota) fn explains(&self, word: u128, now: Timestamp) -> bool {
        halves(word).0.saturating_sub(now.as_micros()) <= self.furthest_micros()
    }

    /// How far ahead a state can lie that this limit explains, rounded up: under 2^53.
    fn furthest_micros(&self) -> u64 {
        let refill = self.cost_of(self.burst()).div_ceil(u128::from(self.count()));
        u64::try_from(refill).unwrap_or(u64::MAX).saturating_add(self.period.as_micros())
    }

    /// The cost of `amount` units in `1 / count` us: under 2^115.
    #[inline]
    fn cost_of(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.period.as_micros())
    }

    /// How far the word lies ahead of `now`, in `1 / count` us: what the bucket lacks. More than it holds only where a clock
    /// stepped back: then the excess is kept, or two steps, back and forth, would refill it. A word more than a period further
    /// ahead is not such a step, and the bucket is read as emptied now.
    #[inline]
    fn ahead(&self, word: u128, now: Timestamp) -> u128 {
        let (full_at, rest) = halves(word);
        if full_at < now.as_micros() {
            return 0;
        }
        let rest = rest.min(self.count() - 1);
        let ahead = u128::from(full_at - now.as_micros()) * u128::from(self.count()) + u128::from(rest);
        let all = self.cost_of(self.burst());
        let slack = u128::from(self.slack_micros) * u128::from(self.count());
        if ahead > all + self.cost_of(self.count()) + slack { all } else { ahead }
    }

    /// What the bucket lacks at `now`, in `1 / count` us: at most the cost of all it holds.
    #[inline]
    fn lacking(&self, word: u128, now: Timestamp) -> u128 {
        self.ahead(word, now).min(self.cost_of(self.burst()))
    }

    /// The word of a bucket that lacks `lacking` at `now`.
    #[inline]
    fn word(&self, lacking: u128, now: Timestamp) -> u128 {
        let (micros, rest) = divide(lacking, self.count());
        let full_at = now.plus_micros(u64::try_from(micros).unwrap_or(u64::MAX)).as_micros();
        (u128::from(full_at) << 64) | u128::from(rest)
    }
}

/// Quotient and rest, in 64 bits where the dividend fits, since a 128-bit division takes several times as long.
#[inline]
fn divide(dividend: u128, divisor: u64) -> (u128, u64) {
    if let Ok(small) = u64::try_from(dividend) {
        return (u128::from(small / divisor), small % divisor);
    }
    let rest = dividend % u128::from(divisor);
    (dividend / u128::from(divisor), u64::try_from(rest).expect("a rest is below its divisor"))
}

/// A duration in `1 / count` us as microseconds, rounded up.
#[inline]
fn micros_up(duration: u128, count: u64) -> u64 {
    let (micros, rest) = divide(duration, count);
    u64::try_from(micros).unwrap_or(u64::MAX).saturating_add(u64::from(rest > 0))
}

impl OneWord for Rate {
    #[inline]
    fn settle(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u128 {
        let (full_at, rest) = halves(word);
        // Mostly the word is near; then it is not worth a division to write it anew.
        let nearest = u128::from(full_at.saturating_sub(now.as_micros())) * u128::from(self.count());
        if nearest <= self.cost_of(self.burst()) && rest < self.count() {
            return word;
        }
        let ahead = self.ahead(word, now);
        if ahead == self.cost_of(self.burst()) { word.min(self.word(ahead, now)) } else { word }
    }

    #[inline]
    fn room(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> Room {
        let room = self.cost_of(self.burst()) - self.lacking(word, now);
        let (available, _) = divide(room, self.period.as_micros());
        let available = u64::try_from(available).unwrap_or(u64::MAX);
        let retry = if amount <= available {
            Retry::Now
        } else if amount > self.burst() {
            Retry::Never
        } else {
            // The bucket may lack more than it holds, after a clock stepped back.
            let lacking = self.ahead(word, now) - (self.cost_of(self.burst()) - self.cost_of(amount));
            Retry::AfterMicros(micros_up(lacking, self.count()))
        };
        Room { available, retry }
    }

    #[inline]
    fn used(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u64 {
        self.burst() - self.room(word, 0, now, cache).available
    }

    /// A forced charge empties the bucket and no more: what it went over is not owed.
    #[inline]
    fn charge(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> u128 {
        if amount == 0 {
            return word;
        }
        let ahead = self.ahead(word, now);
        let charged = (ahead + self.cost_of(amount.min(self.burst()))).min(self.cost_of(self.burst()));
        self.word(charged.max(ahead), now)
    }

    #[inline]
    fn fresh_at(&self, word: u128, _: &mut SpanCache) -> Option<Timestamp> {
        let (full_at, rest) = halves(word);
        Some(Timestamp::from_micros(full_at.saturating_add(u64::from(rest > 0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    fn rate(count: u64, burst: u64) -> Rate {
        let second = Period::from_secs(1).expect("a second is a period");
        Rate::new(count, second, Some(burst)).expect("the numbers are in range")
    }

    #[test]
    fn after_exactly_a_period_the_count_is_there_again() {
        let cache = &mut SpanCache::default();
        for count in [1, 3, 7, 30, 999_983, 7_000_000_000] {
            let rate = rate(count, count);
            let mut word = rate.charge(0, count, START, cache);
            for second in 1..1_000 {
                let now = START.plus_micros(second * 1_000_000);
                let before = START.plus_micros(second * 1_000_000 - 1);
                assert!(rate.room(word, count, before, cache).available < count, "{count}");
                assert_eq!(rate.room(word, count, now, cache).available, count);
                assert_eq!(rate.fresh_at(word, cache), Some(now));
                word = rate.charge(word, count, now, cache);
            }
        }
    }

    #[test]
    fn single_units_cost_what_they_cost_together() {
        let cache = &mut SpanCache::default();
        let rate = rate(7, 7);
        let together = rate.charge(0, 7, START, cache);
        let single = (0..7).fold(0, |word, _| rate.charge(word, 1, START, cache));
        assert_eq!(single, together);
        assert_eq!(rate.room(rate.charge(0, 6, START, cache), 1, START, cache).available, 1);
    }

    #[test]
    fn a_clock_that_steps_back_and_forth_refills_nothing() {
        let cache = &mut SpanCache::default();
        let rate = rate(10, 10);
        let mut word = rate.charge(0, 10, START, cache);
        for step in 1..=1_000_000 {
            let earlier = Timestamp::from_micros(START.as_micros() - step);
            assert_eq!(rate.room(word, 1, earlier, cache).available, 0);
            word = rate.settle(word, earlier, cache);
            word = rate.charge(word, 0, earlier, cache);
            assert_eq!(rate.room(word, 1, START, cache).available, 0, "{step} us back and forth");
        }
        let earlier = Timestamp::from_micros(START.as_micros() - 1_000_000);
        assert_eq!(rate.room(word, 10, earlier, cache).retry, Retry::AfterMicros(2_000_000));
        // Further than a period is no step: the bucket is read as emptied then.
        let wrong = Timestamp::from_micros(START.as_micros() - 1_000_001);
        assert_eq!(rate.room(word, 10, wrong, cache).retry, Retry::AfterMicros(1_000_000));
        assert_eq!(rate.fresh_at(rate.settle(word, wrong, cache), cache), Some(wrong.plus_micros(1_000_000)));
    }

    #[test]
    fn a_smaller_limit_shortens_nothing_that_a_larger_one_wrote() {
        let cache = &mut SpanCache::default();
        for (large, small) in [(rate(10, 1_000), rate(10, 10)), (rate(1, 10), rate(10, 10))] {
            let word = large.charge(0, large.burst(), START, cache);
            assert!(large.explains(word, START) && !small.explains(word, START));
            let asked = small.after(&large);
            assert_eq!(asked.room(word, 1, START, cache).available, 0);
            assert_eq!(asked.settle(word, START, cache), word);
            assert_eq!(
                asked.charge(word, 1, START, cache),
                word,
                "force owes nothing beyond, and forgives nothing"
            );
            assert_eq!(large.after(&small), large);
            // What neither of them explains is a wrong clock's work.
            let wrong = Timestamp::from_micros(START.as_micros() - large.furthest_micros());
            let settled = asked.settle(word, wrong, cache);
            assert_eq!(
                small.fresh_at(settled, cache),
                small.fresh_at(small.charge(0, 10, wrong, cache), cache)
            );
        }
    }

    #[test]
    fn a_count_that_changes_keeps_the_time_to_the_microsecond() {
        let cache = &mut SpanCache::default();
        let word = rate(7, 7).charge(0, 1, START, cache);
        for count in [1, 2, 1_000] {
            let after = rate(count, 10_000_000).fresh_at(word, cache).map(|at| at.micros_since(START));
            assert_eq!(after, Some(142_858));
        }
    }
}
