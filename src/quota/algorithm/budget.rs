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

    /// The period that a word is about, and what was used of it; `None`: nothing was.
    pub(in crate::quota) fn period_of(&self, word: u128, cache: &mut SpanCache) -> Option<(Span, u64)> {
        let (index, used) = unpack(word);
        (used > 0).then(|| (self.span(Span::start_of(index), cache), used))
    }

    /// Whether `after` is about a later period than `before`, of which something was used.
    #[inline]
    pub(in crate::quota) const fn rolls_over(before: u128, after: u128) -> bool {
        let ((index, used), (later, _)) = (unpack(before), unpack(after));
        used > 0 && index < later
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Rule, State};

    /// 2026-11-15T12:00:00Z.
    const NOON: Timestamp = Timestamp::from_millis(1_794_744_000_000);
    const DAY_MICROS: u64 = 86_400_000_000;

    #[test]
    fn a_period_is_closed_by_a_later_one_or_when_it_is_dropped() {
        let cache = &mut SpanCache::new();
        let rule = Rule::budget(10, CalendarPeriod::Day, Zone::UTC, Anchor::NONE).unwrap();
        let charged = |word: u128, amount: u64, days: u64, cache: &mut SpanCache| {
            rule.charge_word(word, amount, NOON.plus_micros(days * DAY_MICROS), cache)
        };
        let first = charged(0, 4, 0, cache);
        let again = charged(first, 1, 0, cache);
        let next_day = charged(again, 1, 1, cache);
        let mut check = |before: u128, after: Option<u128>, expected: Option<u64>| {
            let closed = rule.closed_period(&State::Word(before), after.map(State::Word).as_ref(), cache);
            assert_eq!(closed.map(|(_, used)| used), expected);
            assert!(after.is_none_or(|after| rule.rolls_over(before, after) == expected.is_some()));
        };
        check(0, Some(first), None);
        check(first, Some(again), None);
        check(again, Some(next_day), Some(5));
        check(next_day, Some(again), None);
        check(again, None, Some(5));
        check(0, None, None);
        let (span, _) = rule.closed_period(&State::Word(again), None, cache).unwrap();
        assert_eq!(
            (span.start, span.end.micros_since(span.start)),
            (Timestamp::from_micros(NOON.as_micros() - DAY_MICROS / 2), DAY_MICROS)
        );
        let window = Rule::fixed_window(10, crate::quota::Period::from_secs(1).unwrap()).unwrap();
        assert_eq!(window.closed_period(&State::Word(again), None, cache), None);
        assert!(!window.rolls_over(again, next_day));
    }
}
