//! The stretch of time of one calendar period, and a small cache of such stretches.

use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::zone::Zone;
use crate::clock::Timestamp;

/// How many spans a cache holds: a turn's takes rarely mix more calendars, and a miss costs under a microsecond.
const CACHED_SPANS: usize = 8;

/// Seconds of a minute, in which periods are numbered.
const MINUTE_SECONDS: u64 = 60;

/// One calendar period: from `start` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Minutes from the epoch to the start: later periods of a calendar have larger ones. Offsets of all time zones
    /// have been whole minutes since 1972.
    pub index: u32,
    /// When it begins; not before the epoch.
    pub start: Timestamp,
    /// When it ends; [`Span::NEVER`] for a total.
    pub end: Timestamp,
}

impl Span {
    /// The end of what has no end.
    pub const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

    /// From seconds; saturates.
    pub(super) fn new(start_seconds: u64, end_seconds: u64) -> Self {
        let start = Timestamp::from_micros(start_seconds.saturating_mul(1_000_000));
        let end = Timestamp::from_micros(end_seconds.saturating_mul(1_000_000));
        Self { index: Self::index_of(start), start, end }
    }

    /// The index of a period that begins at `start`.
    #[inline]
    pub(super) fn index_of(start: Timestamp) -> u32 {
        u32::try_from(start.as_secs() / MINUTE_SECONDS).unwrap_or(u32::MAX)
    }

    /// A time inside the period with this index: the end of the minute in which it begins.
    pub(super) fn start_of(index: u32) -> Timestamp {
        Timestamp::from_micros((u64::from(index) + 1) * MINUTE_SECONDS * 1_000_000 - 1)
    }

    #[inline]
    fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

/// The spans that were asked for last, so that a budget's take does not compute the calendar.
#[derive(Clone, Debug, Default)]
pub struct SpanCache {
    entries: [Option<Cached>; CACHED_SPANS],
    /// Which entry the next miss replaces.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    period: CalendarPeriod,
    zone: Zone,
    anchor: Anchor,
    span: Span,
}

impl SpanCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The period of this calendar that contains `at`.
    #[inline]
    pub fn span(&mut self, period: CalendarPeriod, zone: Zone, anchor: Anchor, at: Timestamp) -> Span {
        let found = self.entries.iter().flatten().find(|cached| {
            cached.period == period
                && cached.zone == zone
                && cached.anchor == anchor
                && cached.span.contains(at)
        });
        match found {
            Some(cached) => cached.span,
            None => self.compute(period, zone, anchor, at),
        }
    }

    #[cold]
    fn compute(&mut self, period: CalendarPeriod, zone: Zone, anchor: Anchor, at: Timestamp) -> Span {
        let span = period.span(zone, anchor, at);
        self.entries[self.next] = Some(Cached { period, zone, anchor, span });
        self.next = (self.next + 1) % CACHED_SPANS;
        span
    }
}
