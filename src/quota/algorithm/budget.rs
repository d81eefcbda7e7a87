//! BUDGET: at most a maximum in each calendar period; nothing leaks back inside it.
//!
//! The word is the period's index (the minutes from the epoch to its start, 32 bits) above what was used (64 bits). A
//! total has one period without an end.

use super::{OneWord, Room, halves};
use crate::clock::Timestamp;
use crate::quota::anchor::Anchor;
use crate::quota::calendar::CalendarPeriod;
use crate::quota::error::LimitError;
use crate::quota::limit::MAX_AMOUNT;
use crate::quota::span::{Span, SpanCache};
use crate::quota::verdict::Retry;
use crate::quota::zone::Zone;

/// At most `maximum` units in each calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    maximum: u64,
    period: CalendarPeriod,
    zone: Zone,
    anchor: Anchor,
}

/// Which period the state is about, what was used of it, and when it ends.
#[derive(Clone, Copy)]
struct Account {
    index: u32,
    used: u64,
    end: Timestamp,
}

impl Budget {
    /// At most `maximum` units in each `period` of `zone`, beginning at `anchor`. A total has no zone: it is set to UTC.
    ///
    /// # Errors
    /// [`LimitError`] when the maximum is over `MAX_AMOUNT`, or such a period cannot begin at the anchor.
    pub fn new(maximum: u64, period: CalendarPeriod, zone: Zone, anchor: Anchor) -> Result<Self, LimitError> {
        LimitError::check("maximum", maximum, 0, MAX_AMOUNT)?;
        let anchor = anchor.normal_for(period)?;
        let zone = if period == CalendarPeriod::Total { Zone::UTC } else { zone };
        Ok(Self { maximum, period, zone, anchor })
    }

    /// Units per calendar period.
    #[must_use]
    pub const fn maximum(&self) -> u64 {
        self.maximum
    }

    /// The calendar period.
    #[must_use]
    pub const fn period(&self) -> CalendarPeriod {
        self.period
    }

    /// Whose calendar it is.
    #[must_use]
    pub const fn zone(&self) -> Zone {
        self.zone
    }

    /// Where the period begins.
    #[must_use]
    pub const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// Year and month in the budget's zone at `at`; `None` for a total, which has no place in a calendar, and behind the year 9999.
    #[must_use]
    pub fn month_of(&self, at: Timestamp) -> Option<(i16, i8)> {
        let instant = jiff::Timestamp::from_second(i64::try_from(at.as_secs()).ok()?).ok()?;
        let local = self.zone.time_zone().to_datetime(instant);
        (self.period != CalendarPeriod::Total).then_some((local.year(), local.month()))
    }

    #[inline]
    fn span(&self, at: Timestamp, cache: &mut SpanCache) -> Span {
        cache.span(self.period, self.zone, self.anchor, at)
    }

    /// The period that counts at `now`. One that is the next already (the clock stepped back over its edge) goes on.
    #[inline]
    fn account(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> Account {
        let (index, used) = unpack(word);
        let span = self.span(now, cache);
        if used == 0 || index < span.index {
            Account { index: span.index, used: 0, end: span.end }
        } else if index == span.index {
            Account { index, used, end: span.end }
        } else if Span::index_of(span.end) == index {
            Account { index, used, end: self.span(span.end, cache).end }
        } else {
            Account { index: span.index, used: used.max(self.maximum), end: span.end }
        }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the index has the low 32 bits of the upper half")]
const fn unpack(word: u128) -> (u32, u64) {
    let (index, used) = halves(word);
    (index as u32, used)
}

#[inline]
fn pack(account: Account) -> u128 {
    (u128::from(account.index) << 64) | u128::from(account.used)
}

impl OneWord for Budget {
    #[inline]
    fn settle(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u128 {
        let account = self.account(word, now, cache);
        let (index, used) = unpack(word);
        if used != 0 && index > account.index { pack(account) } else { word }
    }

    #[inline]
    fn room(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> Room {
        let account = self.account(word, now, cache);
        let available = self.maximum.saturating_sub(account.used);
        let retry = if amount <= available {
            Retry::Now
        } else if amount > self.maximum || account.end == Span::NEVER {
            Retry::Never
        } else {
            Retry::until(account.end.as_micros(), now.as_micros())
        };
        Room { available, retry }
    }

    #[inline]
    fn used(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u64 {
        self.account(word, now, cache).used
    }

    /// What is forced over the maximum counts until the period ends; the count saturates at 64 bits.
    #[inline]
    fn charge(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> u128 {
        if amount == 0 {
            return word;
        }
        let account = self.account(word, now, cache);
        pack(Account { used: account.used.saturating_add(amount), ..account })
    }

    #[inline]
    fn fresh_at(&self, word: u128, cache: &mut SpanCache) -> Option<Timestamp> {
        let (index, used) = unpack(word);
        if used == 0 {
            return Some(Timestamp::EPOCH);
        }
        let end = self.span(Span::start_of(index), cache).end;
        (end != Span::NEVER).then_some(end)
    }
}
