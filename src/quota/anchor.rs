//! The day on which a calendar period begins.

use std::fmt;

use jiff::civil::Date;

use super::calendar::CalendarPeriod;
use super::error::{LimitError, shown};

/// Where a calendar period begins, as one small number:
/// - month: the day, 1 to 31; in months without that day, their last day;
/// - week: the weekday, 1 (Monday) to 7;
/// - year: month * 100 + day, 101 to 1231; February 29 is 28 in common years;
/// - 0: the calendar's own beginning, the only one for hour, day and total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Anchor(u16);

impl Anchor {
    /// The calendar's own beginning: the first, Monday, January 1.
    pub const NONE: Self = Self(0);

    /// The beginning of `period` at `number`, 0 being the calendar's own; what equals the calendar's own becomes
    /// [`Anchor::NONE`], so that equal calendars compare equal.
    ///
    /// # Errors
    /// [`LimitError::Anchor`] when such a period cannot begin there.
    pub fn new(period: CalendarPeriod, number: u64) -> Result<Self, LimitError> {
        let refused = LimitError::Anchor { period, given: number.to_string() };
        let number = u16::try_from(number).map_err(|_| refused.clone())?;
        let (own, allowed) = match period {
            CalendarPeriod::Week => (1, number <= 7),
            CalendarPeriod::Month => (1, number <= 31),
            CalendarPeriod::Year => (101, number == 0 || is_day_of_year(number)),
            CalendarPeriod::Hour | CalendarPeriod::Day | CalendarPeriod::Total => (0, number == 0),
        };
        if !allowed {
            return Err(refused);
        }
        Ok(if number == own { Self::NONE } else { Self(number) })
    }

    /// Reads the number of a beginning as clients name it: 0 is none, who wants the calendar's own names it or no anchor.
    ///
    /// # Errors
    /// [`LimitError::Anchor`] when the text is no number or such a period cannot begin there.
    pub(super) fn parse(period: CalendarPeriod, text: &[u8]) -> Result<Self, LimitError> {
        let number = super::number::parse(text).filter(|&number| number > 0);
        let anchor = number.and_then(|number| Self::new(period, number).ok());
        anchor.ok_or_else(|| LimitError::Anchor { period, given: shown(text) })
    }

    /// The number; 0 for the calendar's own beginning.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    pub(super) fn normal_for(self, period: CalendarPeriod) -> Result<Self, LimitError> {
        Self::new(period, u64::from(self.0))
    }

    /// The weekday on which a week begins, 1 for Monday.
    pub(super) fn weekday(self) -> i8 {
        i8::try_from(self.0).unwrap_or(1).max(1)
    }

    /// The date in the month of `first` (the first of a month) on which a month begins.
    pub(super) fn in_month(self, first: Date) -> Date {
        clamped(first, self.0)
    }

    /// The date in `year` on which a year begins.
    pub(super) fn in_year(self, year: i16) -> Date {
        let month = i8::try_from(self.0 / 100).unwrap_or(1).clamp(1, 12);
        clamped(Date::constant(year, month, 1), self.0 % 100)
    }
}

/// The day of the month of `first`, at most its last one, at least the first.
fn clamped(first: Date, day: u16) -> Date {
    let day = i8::try_from(day).unwrap_or(i8::MAX).clamp(1, first.days_in_month());
    Date::constant(first.year(), first.month(), day)
}

/// Whether month * 100 + day is a day of a leap year.
fn is_day_of_year(number: u16) -> bool {
    const DAYS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (month, day) = (usize::from(number / 100), number % 100);
    (1..=12).contains(&month) && (1..=DAYS[month - 1]).contains(&day)
}

impl fmt::Display for Anchor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_checked_against_their_period() {
        let check = |period, number, expected: Option<u16>| {
            assert_eq!(Anchor::new(period, number).ok().map(Anchor::number), expected, "{period} {number}");
        };
        check(CalendarPeriod::Month, 15, Some(15));
        check(CalendarPeriod::Month, 1, Some(0));
        check(CalendarPeriod::Month, 31, Some(31));
        check(CalendarPeriod::Month, 32, None);
        check(CalendarPeriod::Week, 7, Some(7));
        check(CalendarPeriod::Week, 8, None);
        check(CalendarPeriod::Year, 101, Some(0));
        check(CalendarPeriod::Year, 229, Some(229));
        for number in [1, 100, 230, 431, 1_232, 1_301, u64::MAX] {
            check(CalendarPeriod::Year, number, None);
        }
        check(CalendarPeriod::Day, 0, Some(0));
        check(CalendarPeriod::Day, 1, None);
        check(CalendarPeriod::Month, 65_537, None);
    }
}
