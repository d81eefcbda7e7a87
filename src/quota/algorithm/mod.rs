//! One file per kind of limit: how its state is packed, what it allows, how it is charged.
//!
//! **Owns** the arithmetic of each kind. **Does not own** the choice between kinds (`rule`) or takes over several
//! limits (`take`). **May use** the spans of calendar periods, periods, retries.

mod budget;
mod fixed_window;
mod log_window;
mod rate;
mod sliding_window;
mod throttle;

pub use budget::Budget;
pub use fixed_window::FixedWindow;
pub use log_window::{LogState, LogWindow, MAX_LOG_ENTRIES};
pub use rate::Rate;
pub use sliding_window::SlidingWindow;
pub use throttle::{Throttle, ThrottleError, ThrottleVerdict};

use super::span::SpanCache;
use super::verdict::Retry;
use crate::clock::Timestamp;

/// What a limit has left, and when an amount fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) available: u64,
    pub(super) retry: Retry,
}

/// A kind whose state is one word, 0 when fresh. Every function takes any word: what no charge wrote is read as some
/// state, never a panic.
pub(super) trait OneWord {
    /// The word as it is read at `now`: a state too far ahead of now becomes one that is used up now.
    fn settle(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u128;

    /// What is left, and when `amount` fits.
    fn room(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> Room;

    /// What counts as used.
    fn used(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u64;

    /// The word after `amount` was charged; an amount of 0 changes nothing.
    fn charge(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> u128;

    /// From when on the word equals a fresh one; `None`: never.
    fn fresh_at(&self, word: u128, cache: &mut SpanCache) -> Option<Timestamp>;
}

/// The two halves of a word.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each half is read alone")]
pub(super) const fn halves(word: u128) -> (u64, u64) {
    ((word >> 64) as u64, word as u64)
}

/// `a * b / c`, rounded down, in 64 bits where the product fits, since a 128-bit division takes several times as long.
#[inline]
pub(super) fn multiply_divide(a: u64, b: u64, c: u64) -> u128 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product).map_or_else(|_| product / u128::from(c), |product| u128::from(product / c))
}

/// `a * b / c`, rounded up.
#[inline]
pub(super) fn multiply_divide_up(a: u64, b: u64, c: u64) -> u128 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product)
        .map_or_else(|_| product.div_ceil(u128::from(c)), |product| u128::from(product.div_ceil(c)))
}
