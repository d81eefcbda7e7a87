//! WINDOW LOG: at most a maximum in every stretch of one period, by an exact log of times and amounts.
//!
//! A take counts from its own microsecond on and stops to count exactly one period later. Takes of one microsecond
//! share an entry. The log holds at most [`MAX_LOG_ENTRIES`]; a take that would need one more is denied until the oldest
//! leaves, so the cap may deny what the maximum would allow, and never the other way round.

use std::collections::VecDeque;

use super::Room;
use crate::clock::Timestamp;
use crate::quota::error::LimitError;
use crate::quota::limit::MAX_AMOUNT;
use crate::quota::period::Period;
use crate::quota::verdict::Retry;

/// The most entries of a log: 160 kB, the most one subject may cost by being asked often.
pub const MAX_LOG_ENTRIES: usize = 10_000;

/// At most `maximum` units in every stretch of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogWindow {
    maximum: u64,
    period: Period,
}

/// What was taken when, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    entries: VecDeque<Entry>,
    /// The total of the last entry that was dropped.
    dropped: u64,
}

/// Takes of one microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    time: u64,
    /// The sum of all amounts up to this entry, wrapping: the differences are what counts, and what a log holds is
    /// kept under 64 bits. With sums, a look takes logarithmic time although it may not drop what has left.
    total: u64,
}

impl LogState {
    /// The takes, the oldest first, as (time, amount); some may have left the window already.
    pub fn takes(&self) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        let mut before = self.dropped;
        self.entries.iter().map(move |entry| {
            let amount = entry.total.wrapping_sub(before);
            before = entry.total;
            (Timestamp::from_micros(entry.time), amount)
        })
    }

    /// A log of these takes, to read back what was kept elsewhere.
    ///
    /// `None` when there are too many, times do not rise, an amount is 0, or the sum is over 64 bits.
    pub fn from_takes(takes: impl IntoIterator<Item = (Timestamp, u64)>) -> Option<Self> {
        let mut state = Self::default();
        for (time, amount) in takes {
            let rising = state.entries.back().is_none_or(|last| last.time < time.as_micros());
            if !rising || amount == 0 || state.entries.len() >= MAX_LOG_ENTRIES {
                return None;
            }
            let total = state.last_total().checked_add(amount)?;
            state.entries.push_back(Entry { time: time.as_micros(), total });
        }
        Some(state)
    }

    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    fn last_total(&self) -> u64 {
        self.entries.back().map_or(self.dropped, |last| last.total)
    }

    fn total_before(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(self.dropped, |before| self.entries[before].total)
    }
}

impl LogWindow {
    /// At most `maximum` units in every stretch of `period`.
    ///
    /// # Errors
    /// [`LimitError`] when the maximum is over `MAX_AMOUNT`.
    pub fn new(maximum: u64, period: Period) -> Result<Self, LimitError> {
        LimitError::check("maximum", maximum, 0, MAX_AMOUNT)?;
        Ok(Self { maximum, period })
    }

    /// Units in every stretch of one period.
    #[must_use]
    pub const fn maximum(&self) -> u64 {
        self.maximum
    }

    /// The length of the window.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// Whether the last take lies more than a period ahead of now, which only a clock that was wrong explains.
    fn is_ahead(&self, state: &LogState, now: u64) -> bool {
        state.entries.back().is_some_and(|last| last.time.saturating_sub(now) > self.period.as_micros())
    }

    /// What a state too far ahead counts as: the maximum. Of a maximum of 0 something was forced, and an entry of nothing
    /// would be neither fresh nor used.
    fn used_up(&self) -> u64 {
        self.maximum.max(1)
    }

    /// Where the entries that still count begin.
    fn live_from(&self, state: &LogState, now: u64) -> usize {
        state.entries.partition_point(|entry| self.leaves_at(entry.time) <= now)
    }

    fn leaves_at(&self, time: u64) -> u64 {
        time.saturating_add(self.period.as_micros())
    }

    /// Makes a state that is too far ahead one that is used up now; whether it was.
    pub(in crate::quota) fn settle(&self, state: &mut LogState, now: Timestamp) -> bool {
        let ahead = self.is_ahead(state, now.as_micros());
        if ahead {
            let entry = Entry { time: now.as_micros(), total: self.used_up() };
            *state = LogState { entries: VecDeque::from([entry]), dropped: 0 };
        }
        ahead
    }

    pub(in crate::quota) fn room(&self, state: &LogState, amount: u64, now: Timestamp) -> Room {
        let now = now.as_micros();
        if self.is_ahead(state, now) {
            let retry = Self::retry_or(amount, self.maximum, || self.period.as_micros());
            return Room { available: 0, retry };
        }
        let live = self.live_from(state, now);
        let used = state.last_total().wrapping_sub(state.total_before(live));
        let has_entry = state.entries.len() - live < MAX_LOG_ENTRIES
            || state.entries.back().is_some_and(|last| last.time >= now);
        let available = if has_entry { self.maximum.saturating_sub(used) } else { 0 };
        if amount <= available {
            return Room { available, retry: Retry::Now };
        }
        let retry = Self::retry_or(amount, self.maximum, || {
            let fits = self.leaves_when_used_is(state, live, self.maximum - amount);
            let frees = if has_entry { 0 } else { self.leaves_at(state.entries[live].time) };
            fits.max(frees).saturating_sub(now).max(1)
        });
        Room { available, retry }
    }

    fn retry_or(amount: u64, maximum: u64, after_micros: impl FnOnce() -> u64) -> Retry {
        match amount {
            0 => Retry::Now,
            _ if amount > maximum => Retry::Never,
            _ => Retry::AfterMicros(after_micros()),
        }
    }

    /// When so many entries have left that no more than `spare` counts; 0 when that is so already.
    fn leaves_when_used_is(&self, state: &LogState, live: usize, spare: u64) -> u64 {
        let last = state.last_total();
        // The first entry after which no more than `spare` follows: when it has left, that is all that counts.
        let (mut low, mut high) = (live, state.entries.len());
        while low < high {
            let middle = low.midpoint(high);
            if last.wrapping_sub(state.total_before(middle)) <= spare {
                high = middle
            } else {
                low = middle + 1
            }
        }
        if low == live { 0 } else { self.leaves_at(state.entries[low - 1].time) }
    }

    pub(in crate::quota) fn used(&self, state: &LogState, now: Timestamp) -> u64 {
        if self.is_ahead(state, now.as_micros()) {
            return self.used_up();
        }
        let live = self.live_from(state, now.as_micros());
        state.last_total().wrapping_sub(state.total_before(live))
    }

    /// Logs `amount` and drops what has left. A clock that stepped back logs at the last entry's time. What is forced
    /// into a full log joins the last entry, whose time becomes now, so it counts longer, not shorter; the sum
    /// saturates at 64 bits, and what it cannot count joins the last entry likewise: no entry is of nothing.
    pub(in crate::quota) fn charge(&self, state: &mut LogState, amount: u64, now: Timestamp) {
        if amount == 0 {
            return;
        }
        self.settle(state, now);
        let now = now.as_micros();
        let live = self.live_from(state, now);
        if live > 0 {
            state.dropped = state.total_before(live);
            state.entries.drain(..live);
        }
        let last_total = state.last_total();
        let amount = amount.min(u64::MAX - last_total.wrapping_sub(state.dropped));
        let total = last_total.wrapping_add(amount);
        let full = state.entries.len() >= MAX_LOG_ENTRIES || amount == 0;
        match state.entries.back_mut() {
            Some(last) if full || last.time >= now => *last = Entry { time: last.time.max(now), total },
            _ => state.entries.push_back(Entry { time: now, total }),
        }
    }

    /// When the last take leaves.
    pub(in crate::quota) fn fresh_at(&self, state: &LogState) -> Timestamp {
        let last = state.entries.back();
        last.map_or(Timestamp::EPOCH, |last| Timestamp::from_micros(self.leaves_at(last.time)))
    }

    /// When the last take leaves, as seen at `now`, once `amount` is charged too.
    pub(in crate::quota) fn fresh_after(&self, state: &LogState, amount: u64, now: Timestamp) -> Timestamp {
        let full = now.plus_micros(self.period.as_micros());
        if self.is_ahead(state, now.as_micros()) {
            return full;
        }
        if amount == 0 { self.fresh_at(state) } else { self.fresh_at(state).max(full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(maximum: u64, micros: u64) -> LogWindow {
        LogWindow::new(maximum, Period::from_micros(micros).unwrap()).unwrap()
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_full_log_denies_until_the_oldest_leaves() {
        let window = window(1_000_000, 1_000_000);
        let mut state = LogState::default();
        for time in 0..10_000 {
            assert_eq!(window.room(&state, 1, at(time)).retry, Retry::Now);
            window.charge(&mut state, 1, at(time));
        }
        // The last microsecond has its entry, a new one has none.
        assert_eq!(window.room(&state, 1, at(9_999)).retry, Retry::Now);
        let room = window.room(&state, 1, at(10_000));
        assert_eq!((room.available, room.retry), (0, Retry::AfterMicros(990_000)));
        assert_eq!(window.room(&state, 1, at(999_999)).available, 0);
        assert_eq!(window.room(&state, 1, at(1_000_000)).available, 990_001);
        window.charge(&mut state, 5, at(20_000));
        assert_eq!(state.entries.len(), MAX_LOG_ENTRIES);
        assert_eq!(window.used(&state, at(20_000)), 10_005);
        assert_eq!(window.fresh_at(&state), at(1_020_000));
    }

    #[test]
    fn sums_saturate_and_wrap_safely() {
        let window = window(MAX_AMOUNT, 10);
        let mut state = LogState::default();
        for time in 0..100 {
            window.charge(&mut state, MAX_AMOUNT, at(time));
            assert_eq!(window.room(&state, 1, at(time)).available, 0);
        }
        assert_eq!(window.used(&state, at(1_000)), 0);
        window.charge(&mut state, 7, at(1_000));
        assert_eq!(window.used(&state, at(1_000)), 7);
        assert_eq!(state.entries.len(), 1);
    }

    #[test]
    fn a_log_comes_back_from_its_takes() {
        let window = window(100, 1_000);
        let mut state = LogState::default();
        for (time, amount) in [(1, 5), (1, 2), (3, 4), (900, 1), (1_002, 9)] {
            window.charge(&mut state, amount, at(time));
        }
        let takes: Vec<_> = state.takes().collect();
        assert_eq!(takes, [(at(3), 4), (at(900), 1), (at(1_002), 9)]);
        let back = LogState::from_takes(takes).unwrap();
        assert_eq!(window.used(&back, at(1_002)), window.used(&state, at(1_002)));
        assert_eq!(LogState::from_takes([(at(2), 1), (at(2), 1)]), None);
        assert_eq!(LogState::from_takes([(at(2), 0)]), None);
        assert_eq!(LogState::from_takes([(at(2), u64::MAX), (at(3), 1)]), None);
    }

    #[test]
    fn no_entry_is_of_nothing() {
        // A maximum of 0 that was forced, seen by a clock that stepped far back.
        let nothing = window(0, 10);
        let mut state = LogState::default();
        nothing.charge(&mut state, 5, at(1_000));
        let before = (nothing.used(&state, at(7)), nothing.fresh_after(&state, 0, at(7)));
        assert!(nothing.settle(&mut state, at(7)));
        assert_eq!((nothing.used(&state, at(7)), nothing.fresh_at(&state)), before);
        assert_eq!(nothing.used(&state, at(16)), 1);
        assert_eq!(LogState::from_takes(state.takes()), Some(state));
        // A sum that is at its end.
        let most = window(MAX_AMOUNT, 10);
        let mut state = LogState::default();
        for (time, amount) in [(0, u64::MAX - 1), (1, 1), (2, 3)] {
            most.charge(&mut state, amount, at(time));
        }
        assert_eq!(state.takes().collect::<Vec<_>>(), [(at(0), u64::MAX - 1), (at(2), 1)]);
        assert_eq!((most.used(&state, at(11)), most.fresh_at(&state)), (1, at(12)));
        assert_eq!(LogState::from_takes(state.takes()), Some(state));
    }
}
