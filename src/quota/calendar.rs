//! The calendar periods of budgets, and where each begins and ends.
//!
//! Days, weeks, months and years begin at local midnight. Where the clocks skip midnight, they begin when the skip is
//! over; where midnight comes twice, at the first, and what has begun does not end when the clocks go back. Hours begin
//! at full local hours and last an hour, also the one that comes twice; where the offset changes by a part of an hour,
//! the hour is cut there.

use std::fmt;

use jiff::civil::Date;
use jiff::{Timestamp as Instant, ToSpan};

use super::anchor::Anchor;
use super::span::Span;
use super::zone::Zone;
use crate::clock::Timestamp;

/// Seconds of an hour.
const HOUR_SECONDS: i64 = 3_600;

/// 9999-01-01T00:00:00Z in seconds: the calendar ends here, a year before jiff's; from here on there is one last span.
const CALENDAR_END_SECONDS: i64 = 253_370_764_800;

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarPeriod {
    /// A local hour.
    Hour,
    /// A local day.
    Day,
    /// A week, from Monday unless anchored.
    Week,
    /// A month, from the first unless anchored.
    Month,
    /// A year, from January 1 unless anchored.
    Year,
    /// All time.
    Total,
}

impl CalendarPeriod {
    /// All periods, the shortest first.
    pub const ALL: [Self; 6] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year, Self::Total];

    /// Reads `hour`, `day`, `week`, `month`, `year` or `total`, in any case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|period| text.eq_ignore_ascii_case(period.name().as_bytes()))
    }

    /// The name, in small letters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Total => "total",
        }
    }

    /// What anchors are allowed, in words.
    pub(super) const fn anchors(self) -> &'static str {
        match self {
            Self::Week => "1 (Monday) to 7 (Sunday)",
            Self::Month => "a day from 1 to 31",
            Self::Year => "month * 100 + day, from 101 to 1231,",
            Self::Hour | Self::Day | Self::Total => "left out",
        }
    }

    /// The period that contains `at`.
    #[must_use]
    pub fn span(self, zone: Zone, anchor: Anchor, at: Timestamp) -> Span {
        let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        if self == Self::Total {
            return Span::new(0, u64::MAX);
        }
        if seconds >= CALENDAR_END_SECONDS {
            return Span::new(CALENDAR_END_SECONDS.unsigned_abs(), u64::MAX);
        }
        let at = Instant::from_second(seconds).expect("it is before the calendar's end");
        let (start, end) = match self {
            Self::Hour => hour(zone, at),
            _ => self.dated(zone, anchor, at),
        };
        Span::new(start.max(0).unsigned_abs(), end.min(CALENDAR_END_SECONDS).unsigned_abs())
    }

    /// The start and end, in seconds, of the period of whole days that contains `at`: of the periods that have begun,
    /// the last one.
    fn dated(self, zone: Zone, anchor: Anchor, at: Instant) -> (i64, i64) {
        let mut first = self.first_date(anchor, zone.time_zone().to_datetime(at).date());
        let mut start = midnight(zone, first);
        // The clocks may have gone back over midnight: the next period has begun. Or they have skipped it.
        while at.as_second() < start {
            first = self
                .first_date(anchor, first.yesterday().expect("the calendar begins long before the epoch"));
            start = midnight(zone, first);
        }
        loop {
            let next = self.next_date(anchor, first);
            let end = midnight(zone, next);
            if at.as_second() < end {
                return (start, end);
            }
            (first, start) = (next, end);
        }
    }

    /// The first date of the period that contains `date`.
    fn first_date(self, anchor: Anchor, date: Date) -> Date {
        match self {
            Self::Week => {
                let since = (date.weekday().to_monday_one_offset() - anchor.weekday()).rem_euclid(7);
                date.saturating_sub(i32::from(since).days())
            }
            Self::Month => {
                let first = anchor.in_month(date.first_of_month());
                if first <= date {
                    first
                } else {
                    anchor.in_month(date.first_of_month().saturating_sub(1.month()))
                }
            }
            Self::Year => {
                let first = anchor.in_year(date.year());
                if first <= date { first } else { anchor.in_year(date.year() - 1) }
            }
            Self::Hour | Self::Day | Self::Total => date,
        }
    }

    /// The first date of the period after the one that begins on `first`.
    fn next_date(self, anchor: Anchor, first: Date) -> Date {
        match self {
            Self::Week => first.saturating_add(7.days()),
            Self::Month => anchor.in_month(first.first_of_month().saturating_add(1.month())),
            Self::Year => anchor.in_year(first.year() + 1),
            Self::Hour | Self::Day | Self::Total => first.saturating_add(1.day()),
        }
    }
}

impl fmt::Display for CalendarPeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The instant at which `date` begins in `zone`, in seconds.
fn midnight(zone: Zone, date: Date) -> i64 {
    let midnight = date.at(0, 0, 0, 0);
    let instant = zone.time_zone().to_ambiguous_timestamp(midnight).compatible();
    instant.expect("the calendar ends a year before the last date").as_second()
}

/// The start and end, in seconds, of the local hour that contains `at`.
fn hour(zone: Zone, at: Instant) -> (i64, i64) {
    let time_zone = zone.time_zone();
    let local = |instant: Instant| i64::from(time_zone.to_offset(instant).seconds()).rem_euclid(HOUR_SECONDS);
    let offset = local(at);
    let mut start = at.as_second() - (at.as_second() + offset).rem_euclid(HOUR_SECONDS);
    let mut end = start + HOUR_SECONDS;
    // `preceding` yields transitions before an instant, and one at `at` counts as past.
    let next_second = Instant::from_second(at.as_second() + 1).expect("it is before the calendar's end");
    let differs =
        |transition: i64| Instant::from_second(transition - 1).is_ok_and(|before| local(before) != offset);
    let past = time_zone.preceding(next_second).map(|transition| transition.timestamp().as_second());
    start = past.take_while(|&time| time > start).find(|&time| differs(time)).unwrap_or(start);
    let coming = time_zone.following(at).map(|transition| transition.timestamp().as_second());
    let shifted = |time: i64| Instant::from_second(time).is_ok_and(|instant| local(instant) != offset);
    end = coming.take_while(|&time| time < end).find(|&time| shifted(time)).unwrap_or(end);
    (start, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> Timestamp {
        let micros = text.parse::<Instant>().unwrap().as_microsecond();
        Timestamp::from_micros(u64::try_from(micros).unwrap())
    }

    fn zone(name: &str) -> Zone {
        Zone::parse(name.as_bytes()).unwrap()
    }

    fn check(period: CalendarPeriod, place: &str, anchor: u64, at: &str, expected: (&str, &str)) {
        let span = period.span(zone(place), Anchor::new(period, anchor).unwrap(), instant(at));
        assert_eq!(
            (span.start, span.end),
            (instant(expected.0), instant(expected.1)),
            "{period} {place} {at}"
        );
    }

    #[test]
    fn months_and_years_have_their_lengths() {
        use CalendarPeriod::{Month, Week, Year};
        check(Month, "UTC", 0, "2024-02-29T23:59:59Z", ("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"));
        check(Month, "UTC", 31, "2023-02-28T00:00:00Z", ("2023-02-28T00:00:00Z", "2023-03-31T00:00:00Z"));
        check(Month, "UTC", 31, "2024-02-28T23:00:00Z", ("2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z"));
        check(Month, "UTC", 15, "2024-01-03T00:00:00Z", ("2023-12-15T00:00:00Z", "2024-01-15T00:00:00Z"));
        check(Year, "UTC", 229, "2023-03-01T00:00:00Z", ("2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z"));
        check(Year, "UTC", 401, "2024-03-31T23:59:59Z", ("2023-04-01T00:00:00Z", "2024-04-01T00:00:00Z"));
        check(Week, "UTC", 0, "2024-09-15T12:00:00Z", ("2024-09-09T00:00:00Z", "2024-09-16T00:00:00Z"));
        check(Week, "UTC", 7, "2024-09-15T12:00:00Z", ("2024-09-15T00:00:00Z", "2024-09-22T00:00:00Z"));
    }

    #[test]
    fn days_follow_the_clocks_of_their_zone() {
        use CalendarPeriod::{Day, Month};
        let berlin = "Europe/Berlin";
        check(Day, berlin, 0, "2024-03-31T12:00:00Z", ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"));
        check(Day, berlin, 0, "2024-10-27T12:00:00Z", ("2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"));
        check(Month, berlin, 15, "2024-03-31T12:00:00Z", ("2024-03-14T23:00:00Z", "2024-04-14T22:00:00Z"));
        check(
            Day,
            "Asia/Kathmandu",
            0,
            "2024-01-01T00:00:00Z",
            ("2023-12-31T18:15:00Z", "2024-01-01T18:15:00Z"),
        );
        // Midnight comes twice in Havana, and is skipped when summer begins.
        let havana = "America/Havana";
        check(Day, havana, 0, "2024-11-03T05:30:00Z", ("2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"));
        check(Day, havana, 0, "2024-03-10T05:00:00Z", ("2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"));
        // Samoa had no December 30 in 2011.
        check(
            Day,
            "Pacific/Apia",
            0,
            "2011-12-30T09:59:59Z",
            ("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        );
        check(
            Day,
            "Pacific/Apia",
            0,
            "2011-12-30T10:00:00Z",
            ("2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        );
    }

    #[test]
    fn hours_follow_the_offset() {
        use CalendarPeriod::Hour;
        check(
            Hour,
            "Asia/Kolkata",
            0,
            "2024-01-01T00:10:00Z",
            ("2023-12-31T23:30:00Z", "2024-01-01T00:30:00Z"),
        );
        check(
            Hour,
            "Europe/Berlin",
            0,
            "2024-10-27T01:10:00Z",
            ("2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z"),
        );
        // Lord Howe goes back by half an hour at 2:00, 15:00 UTC.
        let howe = "Australia/Lord_Howe";
        check(Hour, howe, 0, "2024-04-06T14:59:00Z", ("2024-04-06T14:00:00Z", "2024-04-06T15:00:00Z"));
        check(Hour, howe, 0, "2024-04-06T15:00:00Z", ("2024-04-06T15:00:00Z", "2024-04-06T15:30:00Z"));
        check(Hour, howe, 0, "2024-04-06T15:30:00Z", ("2024-04-06T15:30:00Z", "2024-04-06T16:30:00Z"));
    }

    #[test]
    fn the_ends_of_the_calendar_are_spans_too() {
        for period in CalendarPeriod::ALL {
            let first = period.span(zone("Asia/Kolkata"), Anchor::NONE, Timestamp::EPOCH);
            assert_eq!((first.index, first.start), (0, Timestamp::EPOCH));
            let last = period.span(zone("America/New_York"), Anchor::NONE, Timestamp::from_micros(u64::MAX));
            assert_eq!(last.end, Span::NEVER);
        }
        assert_eq!(CalendarPeriod::parse(b"mOnTh"), Some(CalendarPeriod::Month));
        assert_eq!(CalendarPeriod::parse(b"decade"), None);
    }

    proptest! {
        #[test]
        fn spans_meet_without_gaps_and_their_indexes_rise(
            place in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/Havana", "America/St_Johns", "America/Sao_Paulo", "Pacific/Apia",
                "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo", "Antarctica/Troll", "-09:30",
            ]),
            period in prop::sample::select(&CalendarPeriod::ALL[..5]),
            seconds in 63_072_000_u64..4_102_444_800,
        ) {
            let at = Timestamp::from_micros(seconds * 1_000_000 + 1);
            let of = |time| period.span(zone(place), Anchor::NONE, time);
            let span = of(at);
            prop_assert!(span.start <= at && at < span.end);
            prop_assert_eq!(of(span.start), span);
            prop_assert_eq!(of(Span::start_of(span.index)), span);
            let next = of(span.end);
            prop_assert_eq!(next.start, span.end);
            prop_assert!(next.index > span.index);
            let before = of(Timestamp::from_micros(span.start.as_micros() - 1));
            prop_assert_eq!(before.end, span.start);
            prop_assert!(before.index < span.index);
        }
    }
}
