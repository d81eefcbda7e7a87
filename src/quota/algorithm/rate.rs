//! RATE: units refill continuously into a bucket (the generic cell rate algorithm).
//!
//! The word is one point in time, in 2^-64 microseconds: when the bucket is full again. A unit costs
//! `ceil(period / count)` of such time, so that units cost at least their share and whoever takes them one by one pays
//! what one take of all pays; the bucket holds `burst` times that. So in any stretch at most
//! `burst + elapsed / cost <= burst + count * elapsed / period` units are admitted, without exception by rounding, and
//! a fresh bucket admits `burst` single units at once. (With 2^-32 microseconds the rounding of a cost could be seen
//! at billions of units a second; the word has room for more.)

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
    /// The cost of a unit, the high and low half: derived from the others once, since the division takes longer than a
    /// take. In halves, so that a limit is not aligned to 16 bytes.
    cost_high: u64,
    cost_low: u64,
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
        let (cost_high, cost_low) =
            halves((u128::from(period.as_micros()) << 64).div_ceil(u128::from(count)));
        let count = NonZeroU64::new(count).expect("it was checked above");
        let burst = NonZeroU64::new(burst).expect("it was checked above");
        Ok(Self { count, period, burst, cost_high, cost_low })
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

    /// The cost of one unit in 2^-64 us.
    #[inline]
    fn cost(&self) -> u128 {
        (u128::from(self.cost_high) << 64) | u128::from(self.cost_low)
    }

    /// The cost of `amount <= burst` units: under 2^117, since a bucket fills within a hundred years (rounding up adds
    /// at most `burst`).
    #[inline]
    fn cost_of(&self, amount: u64) -> u128 {
        self.cost() * u128::from(amount)
    }

    /// What the bucket lacks at `now`, in 2^-64 us.
    #[inline]
    fn lacking(&self, word: u128, now: Timestamp) -> u128 {
        word.saturating_sub(instant(now)).min(self.cost_of(self.burst()))
    }

    /// The largest `units` with `units * cost <= room`. The division by the cost is of 128 bits; dividing by the exact
    /// share (`period / count`, a little less than the cost) is mostly of 64 and at most a little too high.
    #[inline]
    fn units_in(&self, room: u128) -> u64 {
        let (high, low) = halves(room);
        let count = u128::from(self.count());
        let micros_of_count = u128::from(high) * count + ((u128::from(low) * count) >> 64);
        if let Ok(micros_of_count) = u64::try_from(micros_of_count) {
            let units = (micros_of_count / self.period.as_micros()).min(self.burst());
            if self.cost_of(units) <= room {
                return units;
            }
            if self.cost_of(units - 1) <= room {
                return units - 1;
            }
        }
        u64::try_from(room / self.cost()).unwrap_or(u64::MAX).min(self.burst())
    }
}

/// `now` in 2^-64 us.
#[inline]
fn instant(now: Timestamp) -> u128 {
    u128::from(now.as_micros()) << 64
}

/// 2^-64 us as whole microseconds, rounded up.
#[inline]
fn micros_up(time: u128) -> u64 {
    let (high, low) = halves(time);
    high.saturating_add(u64::from(low != 0))
}

impl OneWord for Rate {
    #[inline]
    fn settle(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u128 {
        word.min(instant(now).saturating_add(self.cost_of(self.burst())))
    }

    #[inline]
    fn room(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> Room {
        let room = self.cost_of(self.burst()) - self.lacking(word, now);
        let available = self.units_in(room);
        let retry = if amount <= available {
            Retry::Now
        } else if amount > self.burst() {
            Retry::Never
        } else {
            Retry::AfterMicros(micros_up(self.cost_of(amount) - room))
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
        let lacking = self.lacking(word, now) + self.cost_of(amount.min(self.burst()));
        instant(now).saturating_add(lacking.min(self.cost_of(self.burst())))
    }

    #[inline]
    fn fresh_at(&self, word: u128, _: &mut SpanCache) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros_up(word)))
    }
}
