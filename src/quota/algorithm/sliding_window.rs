//! WINDOW SLIDING: the current window's use plus the share of the previous one that still lies within a period.
//!
//! What is bounded is the weighted estimate `current + ceil(previous * (period - elapsed) / period)`: no take is
//! admitted that would carry it over the maximum, and rounding up never admits more. It follows that an aligned window
//! admits at most the maximum, and any stretch of one period less than twice the maximum (all of the previous window
//! may have come at its end, all of the current one too); with evenly spread use it is the maximum. Whoever needs the
//! maximum exactly in every stretch uses LOG.
//!
//! The word is the window's number above two amounts, the previous and the current window's. Amounts have 48 bits for
//! periods from 2^20 us (1.05 s) on; shorter periods need more bits for the number, down to 38 bits for the amounts
//! at 1 us. Times after the last window that has a number (not before 2^52 us, the year 2112) are read as its end.

use super::{OneWord, Room, multiply_divide, multiply_divide_up};
use crate::clock::Timestamp;
use crate::quota::error::LimitError;
use crate::quota::period::Period;
use crate::quota::span::SpanCache;
use crate::quota::verdict::Retry;

/// Bits of microseconds that can be told: until the year 2112.
const TIME_BITS: u32 = 52;

/// No time is read as later than this, so that sums of times do not overflow; in microseconds.
const LATEST: u64 = 1 << 62;

/// The most bits of an amount.
const MAX_AMOUNT_BITS: u32 = 48;

/// At most `maximum` units by the weighted estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlidingWindow {
    maximum: u64,
    period: Period,
    /// How many bits each of the two amounts has; follows from the period.
    amount_bits: u8,
}

/// Which window the state is about, and what was used of it and of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Windows {
    number: u64,
    previous: u64,
    current: u64,
}

impl SlidingWindow {
    /// At most `maximum` units in a period, by the weighted estimate.
    ///
    /// # Errors
    /// [`LimitError`] when the maximum does not fit the bits that the period leaves for it: 2^48 - 1 from 1.05 s on.
    pub fn new(maximum: u64, period: Period) -> Result<Self, LimitError> {
        let number_bits = TIME_BITS.saturating_sub(period.as_micros().ilog2());
        let amount_bits = ((u128::BITS - number_bits) / 2).min(MAX_AMOUNT_BITS);
        LimitError::check("maximum", maximum, 0, (1 << amount_bits) - 1)?;
        let amount_bits = u8::try_from(amount_bits).expect("at most 48");
        Ok(Self { maximum, period, amount_bits })
    }

    /// Units in a period.
    #[must_use]
    pub const fn maximum(&self) -> u64 {
        self.maximum
    }

    /// The length of a window.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// `now` in microseconds, at most the end of the last window that has a number.
    #[inline]
    fn within_horizon(&self, now: Timestamp) -> u64 {
        let windows = 1 << (u128::BITS - 2 * u32::from(self.amount_bits));
        now.as_micros().min(self.period.as_micros().saturating_mul(windows).min(LATEST) - 1)
    }

    const fn largest(&self) -> u64 {
        (1 << self.amount_bits) - 1
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the amounts are masked to their bits, the number has at most 52"
    )]
    fn unpack(&self, word: u128) -> Windows {
        let bits = u32::from(self.amount_bits);
        let number = (word >> (2 * bits)) as u64;
        Windows {
            number,
            previous: (word >> bits) as u64 & self.largest(),
            current: word as u64 & self.largest(),
        }
    }

    #[inline]
    fn pack(&self, windows: Windows) -> u128 {
        let bits = u32::from(self.amount_bits);
        (u128::from(windows.number) << (2 * bits))
            | (u128::from(windows.previous) << bits)
            | u128::from(windows.current)
    }

    /// The windows that count at `now`. One that is the next already (the clock stepped back over its edge) goes on,
    /// as at its beginning.
    #[inline]
    fn windows(&self, word: u128, now: u64) -> Windows {
        let stored = self.unpack(word);
        let number = now / self.period.as_micros();
        if stored.previous | stored.current == 0 {
            return Windows { number, previous: 0, current: 0 };
        }
        match number.checked_sub(stored.number) {
            Some(0) => stored,
            Some(1) => Windows { number, previous: stored.current, current: 0 },
            Some(_) => Windows { number, previous: 0, current: 0 },
            None if stored.number - number == 1 => stored,
            None => Windows { number, previous: 0, current: stored.current.max(self.maximum) },
        }
    }

    /// Microseconds of the previous window that still lie within a period at `now`.
    #[inline]
    fn overlap(&self, windows: Windows, now: u64) -> u64 {
        let elapsed = now.saturating_sub(windows.number * self.period.as_micros());
        self.period.as_micros() - elapsed
    }

    /// What counts as used, rounded up.
    #[inline]
    fn weighted(&self, windows: Windows, now: u64) -> u64 {
        if windows.previous == 0 {
            return windows.current;
        }
        let share = multiply_divide_up(windows.previous, self.overlap(windows, now), self.period.as_micros());
        windows.current + u64::try_from(share).expect("a share is no more than the whole")
    }

    /// When `amount <= maximum` fits, which does not now: the previous window weighs less as time passes, at the end of
    /// the current window that becomes the previous one, and two windows on nothing is left.
    fn fits_at(&self, windows: Windows, amount: u64) -> u64 {
        let start = windows.number * self.period.as_micros();
        let spare = self.maximum - amount;
        if windows.current <= spare {
            return start + self.elapsed_until(windows.previous, spare - windows.current);
        }
        start + self.period.as_micros() + self.elapsed_until(windows.current, spare)
    }

    /// How far into a window the previous one's `used` weighs no more than `spare`.
    fn elapsed_until(&self, used: u64, spare: u64) -> u64 {
        if used <= spare {
            return 0;
        }
        let overlap = multiply_divide(spare, self.period.as_micros(), used);
        self.period.as_micros()
            - u64::try_from(overlap).expect("less than a period, since spare is less than used")
    }
}

impl OneWord for SlidingWindow {
    #[inline]
    fn settle(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u128 {
        let windows = self.windows(word, self.within_horizon(now));
        let stored = self.unpack(word);
        let ahead = stored.previous | stored.current != 0 && stored.number > windows.number;
        if ahead { self.pack(windows) } else { word }
    }

    #[inline]
    fn room(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> Room {
        let now = self.within_horizon(now);
        let windows = self.windows(word, now);
        let available = self.maximum.saturating_sub(self.weighted(windows, now));
        let retry = if amount <= available {
            Retry::Now
        } else if amount > self.maximum {
            Retry::Never
        } else {
            Retry::until(self.fits_at(windows, amount), now)
        };
        Room { available, retry }
    }

    #[inline]
    fn used(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u64 {
        let now = self.within_horizon(now);
        self.weighted(self.windows(word, now), now)
    }

    /// What is forced over the maximum counts and weighs like the rest; the count saturates at the amount's bits.
    #[inline]
    fn charge(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> u128 {
        if amount == 0 {
            return word;
        }
        let windows = self.windows(word, self.within_horizon(now));
        self.pack(Windows { current: windows.current.saturating_add(amount).min(self.largest()), ..windows })
    }

    #[inline]
    fn fresh_at(&self, word: u128, _: &mut SpanCache) -> Option<Timestamp> {
        let stored = self.unpack(word);
        let windows = match (stored.previous, stored.current) {
            (0, 0) => return Some(Timestamp::EPOCH),
            (_, 0) => 1,
            _ => 2,
        };
        Some(Timestamp::from_micros(
            stored.number.saturating_add(windows).saturating_mul(self.period.as_micros()),
        ))
    }
}
