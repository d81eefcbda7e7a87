//! WINDOW FIXED: at most a maximum in each window, windows aligned to the epoch.
//!
//! The word is the window's number since the epoch (64 bits) above what was used of it (64 bits). A window admits at
//! most the maximum, and any stretch of one period at most twice that, since it meets two windows.

use super::{OneWord, Room, halves};
use crate::clock::Timestamp;
use crate::quota::error::LimitError;
use crate::quota::limit::MAX_AMOUNT;
use crate::quota::period::Period;
use crate::quota::span::SpanCache;
use crate::quota::verdict::Retry;

/// At most `maximum` units in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FixedWindow {
    maximum: u64,
    period: Period,
}

/// Which window the state is about, and what was used of it.
#[derive(Clone, Copy)]
struct Window {
    number: u64,
    used: u64,
}

impl FixedWindow {
    /// At most `maximum` units in each window of `period`.
    ///
    /// # Errors
    /// [`LimitError`] when the maximum is over `MAX_AMOUNT`.
    pub fn new(maximum: u64, period: Period) -> Result<Self, LimitError> {
        LimitError::check("maximum", maximum, 0, MAX_AMOUNT)?;
        Ok(Self { maximum, period })
    }

    /// Units per window.
    #[must_use]
    pub const fn maximum(&self) -> u64 {
        self.maximum
    }

    /// The length of a window.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// The window that counts at `now`. One that is the next already (the clock stepped back over its edge) goes on.
    #[inline]
    fn window(&self, word: u128, now: Timestamp) -> Window {
        let (number, used) = halves(word);
        let current = now.as_micros() / self.period.as_micros();
        if used == 0 || number < current {
            Window { number: current, used: 0 }
        } else if number - current > 1 {
            Window { number: current, used: used.max(self.maximum) }
        } else {
            Window { number, used }
        }
    }

    #[inline]
    fn end(&self, number: u64) -> u64 {
        number.saturating_add(1).saturating_mul(self.period.as_micros())
    }
}

#[inline]
fn pack(window: Window) -> u128 {
    (u128::from(window.number) << 64) | u128::from(window.used)
}

impl OneWord for FixedWindow {
    #[inline]
    fn settle(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u128 {
        let window = self.window(word, now);
        let (number, used) = halves(word);
        if used != 0 && number > window.number { pack(window) } else { word }
    }

    #[inline]
    fn room(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> Room {
        let window = self.window(word, now);
        let available = self.maximum.saturating_sub(window.used);
        let retry = if amount <= available {
            Retry::Now
        } else if amount > self.maximum {
            Retry::Never
        } else {
            Retry::until(self.end(window.number), now.as_micros())
        };
        Room { available, retry }
    }

    #[inline]
    fn used(&self, word: u128, now: Timestamp, _: &mut SpanCache) -> u64 {
        self.window(word, now).used
    }

    /// What is forced over the maximum counts until the window ends; the count saturates at 64 bits.
    #[inline]
    fn charge(&self, word: u128, amount: u64, now: Timestamp, _: &mut SpanCache) -> u128 {
        if amount == 0 {
            return word;
        }
        let window = self.window(word, now);
        pack(Window { used: window.used.saturating_add(amount), ..window })
    }

    #[inline]
    fn fresh_at(&self, word: u128, _: &mut SpanCache) -> Option<Timestamp> {
        let (number, used) = halves(word);
        Some(if used == 0 { Timestamp::EPOCH } else { Timestamp::from_micros(self.end(number)) })
    }
}
