//! The syntax of inline limits, as QUOTA.TAKE's arguments name them.

use std::fmt;
use std::iter::Peekable;

use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::error::{LimitError, shown};
use super::limit::{Limit, MAX_AMOUNT};
use super::name::LimitName;
use super::period::{Period, PeriodError};
use super::rule::Rule;
use super::unit::{Unit, UnitError};
use super::zone::{Zone, ZoneError};

/// The most limits of one subject: more than any policy seen, and few enough to look at under one guard.
pub const MAX_LIMITS: usize = 32;

/// Limits in the order they were named; one of them needs no heap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitList {
    first: Option<Limit>,
    more: Vec<Limit>,
}

impl LimitList {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<&Limit> {
        self.first.as_ref()
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> + '_ {
        self.first.iter().chain(&self.more)
    }

    fn push(&mut self, limit: Limit) -> Result<(), SyntaxError> {
        if self.len() == MAX_LIMITS {
            return Err(SyntaxError::TooMany);
        }
        if self.iter().any(|other| other.slot_key() == limit.slot_key()) {
            return Err(SyntaxError::SameSlot(limit.name()));
        }
        match self.first {
            None => self.first = Some(limit),
            Some(_) => self.more.push(limit),
        }
        Ok(())
    }
}

/// Why arguments name no limits; the texts follow `ERR `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// The arguments end where more must follow.
    Ends {
        /// After which word.
        after: &'static str,
    },
    /// Another word must stand here.
    Word {
        /// What must stand here.
        expected: &'static str,
        /// What stands here.
        given: String,
    },
    /// Not a number in range.
    Number {
        /// After which word.
        after: &'static str,
        /// The smallest that is allowed there.
        least: u64,
        /// What was given.
        given: String,
    },
    /// An option is named twice, or contradicts another.
    Repeated(&'static str),
    /// Not a unit.
    Unit(UnitError),
    /// Not a period.
    Period(PeriodError),
    /// Not a time zone.
    Zone(ZoneError),
    /// A total begins and ends nowhere, so no zone can change it.
    ZoneOfTotal,
    /// The numbers make no limit.
    Limit(LimitError),
    /// More than [`MAX_LIMITS`].
    TooMany,
    /// Two limits would keep their use in one slot: both have this name.
    SameSlot(LimitName),
}

/// Arguments, read one by one and counted.
struct Cursor<'a, I: Iterator<Item = &'a [u8]>> {
    arguments: Peekable<I>,
    used: usize,
}

/// What may follow the numbers of a limit.
#[derive(Default)]
struct Options<'a> {
    burst: Option<u64>,
    window: Option<Window>,
    zone: Option<Zone>,
    /// As given: the period says what it may be.
    anchor: Option<&'a [u8]>,
    unit: Option<Unit>,
}

#[derive(Clone, Copy, Default)]
enum Window {
    #[default]
    Fixed,
    Sliding,
    Log,
}

/// Which kind is being read, since each has its options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Rate,
    Window,
    Budget,
}

/// Reads limits until a word that begins none, and tells how many arguments they took:
/// `RATE n PER t [BURST b] | WINDOW n PER t [FIXED|SLIDING|LOG] | BUDGET n PER p [TZ zone] [ANCHOR a]`, each with
/// `[UNIT u]`, options in any order, words in any case.
///
/// # Errors
/// [`SyntaxError`] at the first mistake.
pub fn limits<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Result<(LimitList, usize), SyntaxError> {
    let mut cursor = Cursor { arguments: arguments.into_iter().peekable(), used: 0 };
    let mut list = LimitList::default();
    loop {
        let limit = if cursor.accept(b"rate") {
            rate(&mut cursor)?
        } else if cursor.accept(b"window") {
            window(&mut cursor)?
        } else if cursor.accept(b"budget") {
            budget(&mut cursor)?
        } else {
            return Ok((list, cursor.used));
        };
        list.push(limit)?;
    }
}

fn rate<'a>(cursor: &mut Cursor<'a, impl Iterator<Item = &'a [u8]>>) -> Result<Limit, SyntaxError> {
    let count = cursor.number("RATE")?;
    let period = Period::parse(cursor.after_per()?).map_err(SyntaxError::Period)?;
    let options = cursor.options(Form::Rate)?;
    finish(Rule::rate(count, period, options.burst), &options)
}

fn window<'a>(cursor: &mut Cursor<'a, impl Iterator<Item = &'a [u8]>>) -> Result<Limit, SyntaxError> {
    let maximum = cursor.number("WINDOW")?;
    let period = Period::parse(cursor.after_per()?).map_err(SyntaxError::Period)?;
    let options = cursor.options(Form::Window)?;
    let rule = match options.window.unwrap_or_default() {
        Window::Fixed => Rule::fixed_window(maximum, period),
        Window::Sliding => Rule::sliding_window(maximum, period),
        Window::Log => Rule::log_window(maximum, period),
    };
    finish(rule, &options)
}

fn budget<'a>(cursor: &mut Cursor<'a, impl Iterator<Item = &'a [u8]>>) -> Result<Limit, SyntaxError> {
    let maximum = cursor.number("BUDGET")?;
    let word = cursor.after_per()?;
    let expected = "HOUR, DAY, WEEK, MONTH, YEAR or TOTAL";
    let period =
        CalendarPeriod::parse(word).ok_or_else(|| SyntaxError::Word { expected, given: shown(word) })?;
    let options = cursor.options(Form::Budget)?;
    if period == CalendarPeriod::Total && options.zone.is_some() {
        return Err(SyntaxError::ZoneOfTotal);
    }
    let anchor = options.anchor.map_or(Ok(Anchor::NONE), |text| Anchor::parse(period, text));
    let anchor = anchor.map_err(SyntaxError::Limit)?;
    finish(Rule::budget(maximum, period, options.zone.unwrap_or_default(), anchor), &options)
}

fn finish(rule: Result<Rule, LimitError>, options: &Options<'_>) -> Result<Limit, SyntaxError> {
    let rule = rule.map_err(SyntaxError::Limit)?;
    Ok(Limit { unit: options.unit.unwrap_or_default(), rule })
}

impl<'a, I: Iterator<Item = &'a [u8]>> Cursor<'a, I> {
    /// Goes over `word`, if it stands here.
    fn accept(&mut self, word: &[u8]) -> bool {
        // Not `next_if`, whose hit adding `usize::from(found)` loses when rustc 1.95 optimises: tests in release form see it.
        let found = self.arguments.peek().is_some_and(|argument| argument.eq_ignore_ascii_case(word));
        if found {
            self.arguments.next();
            self.used += 1;
        }
        found
    }

    fn next(&mut self, after: &'static str) -> Result<&'a [u8], SyntaxError> {
        self.used += 1;
        self.arguments.next().ok_or(SyntaxError::Ends { after })
    }

    fn number(&mut self, after: &'static str) -> Result<u64, SyntaxError> {
        let given = self.next(after)?;
        let number = super::number::parse(given).filter(|&number| number <= MAX_AMOUNT);
        // Windows and budgets of nothing deny everything; a rate or bucket of nothing would never refill.
        let least = u64::from(after == "RATE" || after == "BURST");
        number.ok_or_else(|| SyntaxError::Number { after, least, given: shown(given) })
    }

    fn after_per(&mut self) -> Result<&'a [u8], SyntaxError> {
        let per = self.next("the number")?;
        if !per.eq_ignore_ascii_case(b"per") {
            return Err(SyntaxError::Word { expected: "PER", given: shown(per) });
        }
        self.next("PER")
    }

    fn options(&mut self, form: Form) -> Result<Options<'a>, SyntaxError> {
        let mut options = Options::default();
        loop {
            if self.accept(b"unit") {
                let unit = Unit::parse(self.next("UNIT")?).map_err(SyntaxError::Unit)?;
                once(&mut options.unit, unit, "UNIT")?;
            } else if form == Form::Rate && self.accept(b"burst") {
                once(&mut options.burst, self.number("BURST")?, "BURST")?;
            } else if form == Form::Window && self.accept(b"fixed") {
                once(&mut options.window, Window::Fixed, "FIXED, SLIDING or LOG")?;
            } else if form == Form::Window && self.accept(b"sliding") {
                once(&mut options.window, Window::Sliding, "FIXED, SLIDING or LOG")?;
            } else if form == Form::Window && self.accept(b"log") {
                once(&mut options.window, Window::Log, "FIXED, SLIDING or LOG")?;
            } else if form == Form::Budget && self.accept(b"tz") {
                let zone = Zone::parse(self.next("TZ")?).map_err(SyntaxError::Zone)?;
                once(&mut options.zone, zone, "TZ")?;
            } else if form == Form::Budget && self.accept(b"anchor") {
                once(&mut options.anchor, self.next("ANCHOR")?, "ANCHOR")?;
            } else {
                return Ok(options);
            }
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T, word: &'static str) -> Result<(), SyntaxError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SyntaxError::Repeated(word)),
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends { after } => write!(formatter, "limit ends after {after}"),
            Self::Word { expected, given } => write!(formatter, "expected {expected} instead of '{given}'"),
            Self::Number { after, least, given } => write!(
                formatter,
                "'{given}' after {after} must be a whole number from {least} to {MAX_AMOUNT}, as in RATE 5 PER 1s"
            ),
            Self::Repeated(word) => write!(formatter, "{word} may be named once for a limit"),
            Self::Unit(error) => error.fmt(formatter),
            Self::Period(error) => error.fmt(formatter),
            Self::Zone(error) => error.fmt(formatter),
            Self::ZoneOfTotal => write!(formatter, "TZ must be left out for total"),
            Self::Limit(error) => error.fmt(formatter),
            Self::TooMany => write!(formatter, "at most {MAX_LIMITS} limits may be named"),
            Self::SameSlot(name) => {
                write!(
                    formatter,
                    "two limits are '{name}': they differ only in numbers and would share their use"
                )
            }
        }
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(LimitList, usize), SyntaxError> {
        limits(text.split(' ').map(str::as_bytes))
    }

    fn names(text: &str) -> (Vec<String>, usize) {
        let (list, used) = parse(text).unwrap();
        (list.iter().map(|limit| limit.name().to_string()).collect(), used)
    }

    #[test]
    fn limits_are_read_up_to_another_word() {
        let check = |text: &str, expected: &[&str], used: usize| {
            assert_eq!(names(text), (expected.iter().map(ToString::to_string).collect(), used), "{text}");
        };
        check("RATE 100 PER 60s", &["requests:rate:1m"], 4);
        check("rate 100 per 1000 burst 7 unit tokens ID 5", &["tokens:rate:1s"], 8);
        check("WINDOW 5 PER 1h", &["requests:fixed:1h"], 4);
        check("WINDOW 5 PER 1h SLIDING WINDOW 9 PER 1d unit a LOG", &["requests:sliding:1h", "a:log:1d"], 12);
        check(
            "BUDGET 9 PER MONTH ANCHOR 15 TZ europe/berlin UNIT usd_micro PEEK",
            &["usd_micro:budget:month:Europe/Berlin@15"],
            10,
        );
        check("BUDGET 9 PER day TZ +05:30", &["requests:budget:day:+05:30"], 6);
        check("BUDGET 9 PER week ANCHOR 7", &["requests:budget:week:UTC@7"], 6);
        check("BUDGET 9 PER total", &["requests:budget:total"], 4);
        check("ID 5", &[], 0);
        let (list, _) = parse("RATE 100 PER 60s BURST 7 WINDOW 0 PER 1s").unwrap();
        assert_eq!(list.iter().map(Limit::maximum).collect::<Vec<_>>(), [7, 0]);
        assert_eq!((list.len(), list.is_empty(), list.first().map(Limit::maximum)), (2, false, Some(7)));
    }

    #[test]
    fn mistakes_are_told_with_what_is_allowed() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("RATE", "limit ends after RATE");
        check("RATE 5 PER", "limit ends after PER");
        check("RATE -5 PER 1s", "'-5' after RATE must be a whole number from 1 to 9223372036854775807");
        check(
            "RATE 5/s",
            "'5/s' after RATE must be a whole number from 1 to 9223372036854775807, as in RATE 5 PER 1s",
        );
        check("RATE 1.5 PER 1s", "'1.5' after RATE must be a whole number from 1 to");
        check("RATE 1 PER 1s BURST x", "'x' after BURST must be a whole number from 1 to");
        check("WINDOW x PER 1s", "'x' after WINDOW must be a whole number from 0 to");
        check("BUDGET x PER DAY", "'x' after BUDGET must be a whole number from 0 to");
        check("RATE 9223372036854775808 PER 1s", "must be a whole number");
        check("RATE 0 PER 1s", "rate 0 must be between 1 and");
        check("RATE 5 PER 1s BURST 0", "burst 0 must be between 1 and");
        check("RATE 1 PER 36525d BURST 2", "must refill within 100 years");
        check("RATE 5 FOR 1s", "expected PER instead of 'FOR'");
        check("RATE 5 PER 0s", "period '0s' must be between");
        check("RATE 5 PER 1s BURST 1 BURST 2", "BURST may be named once");
        check("RATE 5 PER 1s UNIT A", "unit 'A' must be");
        check("WINDOW 5 PER 1s FIXED LOG", "FIXED, SLIDING or LOG may be named once");
        check("WINDOW 281474976710656 PER 2s SLIDING", "must be between 0 and 281474976710655");
        check("BUDGET 5 PER 1h", "expected HOUR, DAY, WEEK, MONTH, YEAR or TOTAL instead of '1h'");
        check("BUDGET 5 PER MONTH ANCHOR 32", "anchor 32 must be a day from 1 to 31 for month");
        check("BUDGET 5 PER MONTH ANCHOR 0", "anchor 0 must be a day from 1 to 31 for month");
        check("BUDGET 5 PER MONTH ANCHOR -1", "anchor -1 must be a day from 1 to 31 for month");
        check("BUDGET 5 PER WEEK ANCHOR MONDAY", "anchor MONDAY must be 1 (Monday) to 7 (Sunday) for week");
        check(
            "BUDGET 5 PER YEAR ANCHOR 99999999999",
            "anchor 99999999999 must be month * 100 + day, from 101 to 1231",
        );
        check("BUDGET 5 PER DAY ANCHOR 0", "anchor 0 must be left out for day");
        check("BUDGET 5 PER WEEK ANCHOR 1 ANCHOR 1", "ANCHOR may be named once");
        check("BUDGET 5 PER WEEK ANCHOR", "limit ends after ANCHOR");
        check("BUDGET 5 PER TOTAL TZ Europe/Berlin", "TZ must be left out for total");
        check("BUDGET 5 PER MONTH TZ Mars", "time zone 'Mars' must be");
        check("RATE 1 PER 60s RATE 2 PER 1m BURST 3", "two limits are 'requests:rate:1m'");
        let many: Vec<String> = (1..=33).map(|at| format!("WINDOW 1 PER {at}s")).collect();
        check(&many.join(" "), "at most 32 limits");
        assert_eq!(parse(&many[..32].join(" ")).unwrap().0.len(), 32);
    }
}
