//! The kinds of limits behind one face: looking, charging, and when a state equals a fresh one.

use super::algorithm::{Budget, FixedWindow, LogState, LogWindow, OneWord, Rate, Room, SlidingWindow};
use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::error::LimitError;
use super::period::Period;
use super::slot::Kind;
use super::span::{Span, SpanCache};
use super::state::State;
use super::verdict::Look;
use super::zone::Zone;
use crate::clock::Timestamp;

/// What is allowed. Made by [`Rule::rate`] and its like, which check the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Units refill continuously.
    Rate(Rate),
    /// At most a maximum in each window aligned to the epoch.
    FixedWindow(FixedWindow),
    /// At most a maximum by the weighted estimate over two windows.
    SlidingWindow(SlidingWindow),
    /// At most a maximum in every stretch of one period.
    LogWindow(LogWindow),
    /// At most a maximum in each calendar period.
    Budget(Budget),
}

/// Runs an expression on the rule of a kind that fits a word; a log has none and gets the other.
macro_rules! on_word {
    ($rule:expr, $inner:ident => $body:expr, log => $log:expr) => {
        match $rule {
            Rule::Rate($inner) => $body,
            Rule::FixedWindow($inner) => $body,
            Rule::SlidingWindow($inner) => $body,
            Rule::Budget($inner) => $body,
            Rule::LogWindow(_) => $log,
        }
    };
}

impl Rule {
    /// `count` units per `period`, at most `burst` at once (`count` where it is `None`).
    ///
    /// # Errors
    /// See [`Rate::new`].
    pub fn rate(count: u64, period: Period, burst: Option<u64>) -> Result<Self, LimitError> {
        Rate::new(count, period, burst).map(Self::Rate)
    }

    /// At most `maximum` in each window.
    ///
    /// # Errors
    /// See [`FixedWindow::new`].
    pub fn fixed_window(maximum: u64, period: Period) -> Result<Self, LimitError> {
        FixedWindow::new(maximum, period).map(Self::FixedWindow)
    }

    /// At most `maximum` by the weighted estimate.
    ///
    /// # Errors
    /// See [`SlidingWindow::new`].
    pub fn sliding_window(maximum: u64, period: Period) -> Result<Self, LimitError> {
        SlidingWindow::new(maximum, period).map(Self::SlidingWindow)
    }

    /// At most `maximum` in every stretch of one period.
    ///
    /// # Errors
    /// See [`LogWindow::new`].
    pub fn log_window(maximum: u64, period: Period) -> Result<Self, LimitError> {
        LogWindow::new(maximum, period).map(Self::LogWindow)
    }

    /// At most `maximum` in each calendar period.
    ///
    /// # Errors
    /// See [`Budget::new`].
    pub fn budget(
        maximum: u64,
        period: CalendarPeriod,
        zone: Zone,
        anchor: Anchor,
    ) -> Result<Self, LimitError> {
        Budget::new(maximum, period, zone, anchor).map(Self::Budget)
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Rate(_) => Kind::Rate,
            Self::FixedWindow(_) => Kind::FixedWindow,
            Self::SlidingWindow(_) => Kind::SlidingWindow,
            Self::LogWindow(_) => Kind::LogWindow,
            Self::Budget(_) => Kind::Budget,
        }
    }

    /// This rule for a decision on a state that `writer`, a rule of the same slot, left: see `Rate::after`. The other kinds tell
    /// a wrong clock by their period, which all rules of a slot share.
    #[must_use]
    pub fn after(&self, writer: &Self) -> Self {
        match (self, writer) {
            (Self::Rate(rate), Self::Rate(writer)) => Self::Rate(rate.after(writer)),
            _ => *self,
        }
    }

    /// Whether this rule alone explains how far a state lies ahead of `now`; if not, the rule that wrote it must be kept with it.
    #[must_use]
    pub fn explains(&self, state: &State, now: Timestamp) -> bool {
        match self {
            Self::Rate(rate) => rate.explains(word_of(state), now),
            _ => true,
        }
    }

    /// The most that can be available at once.
    #[must_use]
    #[inline]
    pub const fn maximum(&self) -> u64 {
        match self {
            Self::Rate(rate) => rate.burst(),
            Self::FixedWindow(window) => window.maximum(),
            Self::SlidingWindow(window) => window.maximum(),
            Self::LogWindow(window) => window.maximum(),
            Self::Budget(budget) => budget.maximum(),
        }
    }

    /// Whether the state is one word; only a log's is not.
    #[must_use]
    #[inline]
    pub const fn is_word(&self) -> bool {
        !matches!(self, Self::LogWindow(_))
    }

    /// A state that was never charged.
    #[must_use]
    pub fn fresh(&self) -> State {
        if self.is_word() { State::Word(0) } else { State::Log(Box::default()) }
    }

    /// What the limit says of spending `amount` at `now`. A state of another shape than the kind's reads as fresh.
    #[must_use]
    pub fn look(&self, state: &State, amount: u64, now: Timestamp, cache: &mut SpanCache) -> Look {
        let Room { available, retry } = self.room(state, amount, now, cache);
        let used = match self.log(state) {
            Some((window, log)) => window.used(log, now),
            None => on_word!(self, rule => rule.used(word_of(state), now, cache), log => 0),
        };
        Look { available, retry, reset_micros: self.reset_after(state, 0, now, cache), used }
    }

    /// Charges without asking (the caller has looked, or forces). RATE empties its bucket and owes no more; the other
    /// kinds go over their maximum, and saturate at 64 bits (SLIDING at its amounts' bits).
    pub fn charge(&self, state: &mut State, amount: u64, now: Timestamp, cache: &mut SpanCache) {
        match self {
            Self::LogWindow(window) => {
                if let State::Log(log) = state {
                    window.charge(log, amount, now);
                } else {
                    let mut log = Box::<LogState>::default();
                    window.charge(&mut log, amount, now);
                    *state = State::Log(log);
                }
            }
            _ => *state = State::Word(self.charge_word(word_of(state), amount, now, cache)),
        }
    }

    /// From when on the state equals a fresh one, so that its entry can be dropped; `None`: never.
    #[must_use]
    pub fn fresh_at(&self, state: &State, cache: &mut SpanCache) -> Option<Timestamp> {
        match self.log(state) {
            Some((window, log)) => Some(window.fresh_at(log)),
            None => self.word_fresh_at(word_of(state), cache),
        }
    }

    /// [`Rule::look`] for a kind whose state is a word. A log, which has none, looks as fresh.
    #[must_use]
    #[inline]
    pub fn look_word(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> Look {
        self.look(&State::Word(word), amount, now, cache)
    }

    /// [`Rule::charge`] for a kind whose state is a word; gives the new word.
    #[must_use]
    #[inline]
    pub fn charge_word(&self, word: u128, amount: u64, now: Timestamp, cache: &mut SpanCache) -> u128 {
        on_word!(self, rule => rule.charge(word, amount, now, cache), log => word)
    }

    /// [`Rule::fresh_at`] for a kind whose state is a word.
    #[must_use]
    #[inline]
    pub fn word_fresh_at(&self, word: u128, cache: &mut SpanCache) -> Option<Timestamp> {
        on_word!(self, rule => rule.fresh_at(word, cache), log => Some(Timestamp::EPOCH))
    }

    /// Whether a word of this rule that becomes `after` leaves a calendar period in which something was used: see
    /// [`Rule::closed_period`].
    #[must_use]
    #[inline]
    pub const fn rolls_over(&self, before: u128, after: u128) -> bool {
        matches!(self, Self::Budget(_)) && Budget::rolls_over(before, after)
    }

    /// The calendar period that is closed when a state becomes `after`, or is dropped since it equals a fresh one (`None`), with
    /// what was used of it: its final figure. `None` where no period ends, nothing was used, or the kind has no periods.
    #[must_use]
    pub fn closed_period(
        &self,
        before: &State,
        after: Option<&State>,
        cache: &mut SpanCache,
    ) -> Option<(Span, u64)> {
        let Self::Budget(budget) = self else { return None };
        let before = word_of(before);
        let is_over = after.is_none_or(|after| Budget::rolls_over(before, word_of(after)));
        is_over.then(|| budget.period_of(before, cache)).flatten()
    }

    /// Makes a state that lies too far ahead of now (the clock was wrong) one that is used up now; whether it was. A
    /// look at `now` tells the same before and after; afterwards the limit frees itself as any used-up one.
    pub(super) fn settle(&self, state: &mut State, now: Timestamp, cache: &mut SpanCache) -> bool {
        if let (Self::LogWindow(window), State::Log(log)) = (self, &mut *state) {
            return window.settle(log, now);
        }
        let settled = self.settle_word(word_of(state), now, cache);
        if let Some(word) = settled {
            *state = State::Word(word);
        }
        settled.is_some()
    }

    /// [`Rule::settle`] for a word; `None` when it stays.
    #[inline]
    pub(super) fn settle_word(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> Option<u128> {
        let settled = on_word!(self, rule => rule.settle(word, now, cache), log => word);
        (settled != word).then_some(settled)
    }

    #[inline]
    pub(super) fn room(&self, state: &State, amount: u64, now: Timestamp, cache: &mut SpanCache) -> Room {
        match self.log(state) {
            Some((window, log)) => window.room(log, amount, now),
            None => self.room_of_word(word_of(state), amount, now, cache),
        }
    }

    #[inline]
    pub(super) fn room_of_word(
        &self,
        word: u128,
        amount: u64,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> Room {
        on_word!(self, rule => rule.room(word, amount, now, cache), log => self.room(&self.fresh(), amount, now, cache))
    }

    /// Microseconds until the limit is as fresh, once `amount` is charged too; `u64::MAX`: never.
    pub(super) fn reset_after(
        &self,
        state: &State,
        amount: u64,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> u64 {
        match self.log(state) {
            Some((window, log)) => window.fresh_after(log, amount, now).micros_since(now),
            None => self.word_reset(self.charge_word(word_of(state), amount, now, cache), now, cache),
        }
    }

    /// Microseconds until the word equals a fresh one; `u64::MAX`: never.
    #[inline]
    pub(super) fn word_reset(&self, word: u128, now: Timestamp, cache: &mut SpanCache) -> u64 {
        let word = self.settle_word(word, now, cache).unwrap_or(word);
        self.word_fresh_at(word, cache).map_or(u64::MAX, |fresh_at| fresh_at.micros_since(now))
    }

    #[inline]
    fn log<'a>(&'a self, state: &'a State) -> Option<(&'a LogWindow, &'a LogState)> {
        match (self, state) {
            (Self::LogWindow(window), State::Log(log)) => Some((window, log)),
            _ => None,
        }
    }
}

#[inline]
fn word_of(state: &State) -> u128 {
    match state {
        State::Word(word) => *word,
        State::Log(_) => 0,
    }
}
