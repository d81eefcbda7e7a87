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
struct Options {
    burst: Option<u64>,
    window: Option<Window>,
    zone: Option<Zone>,
    anchor: Option<u64>,
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
    let anchor = Anchor::new(period, options.anchor.unwrap_or(0)).map_err(SyntaxError::Limit)?;
    finish(Rule::budget(maximum, period, options.zone.unwrap_or_default(), anchor), &options)
}

fn finish(rule: Result<Rule, LimitError>, options: &Options) -> Result<Limit, SyntaxError> {
    let rule = rule.map_err(SyntaxError::Limit)?;
    Ok(Limit { unit: options.unit.unwrap_or_default(), rule })
}

impl<'a, I: Iterator<Item = &'a [u8]>> Cursor<'a, I> {
    /// Goes over `word`, if it stands here.
    fn accept(&mut self, word: &[u8]) -> bool {
        let found = self.arguments.next_if(|argument| argument.eq_ignore_ascii_case(word)).is_some();
        self.used += usize::from(found);
        found
    }

    fn next(&mut self, after: &'static str) -> Result<&'a [u8], SyntaxError> {
        self.used += 1;
        self.arguments.next().ok_or(SyntaxError::Ends { after })
    }

    fn number(&mut self, after: &'static str) -> Result<u64, SyntaxError> {
        let given = self.next(after)?;
        let number = super::number::parse(given).filter(|&number| number <= MAX_AMOUNT);
        number.ok_or_else(|| SyntaxError::Number { after, given: shown(given) })
    }

    fn after_per(&mut self) -> Result<&'a [u8], SyntaxError> {
        let per = self.next("the number")?;
        if !per.eq_ignore_ascii_case(b"per") {
            return Err(SyntaxError::Word { expected: "PER", given: shown(per) });
        }
        self.next("PER")
    }

    fn options(&mut self, form: Form) -> Result<Options, SyntaxError> {
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
                once(&mut options.anchor, self.number("ANCHOR")?, "ANCHOR")?;
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
            Self::Number { after, given } => {
                write!(formatter, "'{given}' after {after} must be a whole number from 0 to {MAX_AMOUNT}")
            }
            Self::Repeated(word) => write!(formatter, "{word} may be named once for a limit"),
            Self::Unit(error) => error.fmt(formatter),
            Self::Period(error) => error.fmt(formatter),
            Self::Zone(error) => error.fmt(formatter),
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
