//! A period of fixed length.

use std::fmt;
use std::num::NonZeroU64;

/// The longest period: a hundred years of 365.25 days. Longer ones are typing errors, and this bound keeps every time
/// that is computed from a period inside 64 bits of microseconds.
const MAX_PERIOD_MICROS: u64 = 36_525 * 86_400 * 1_000_000;

/// What a period's number can be followed by, the longest first, with its microseconds.
const SCALES: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A length of time in microseconds, between one microsecond and a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(NonZeroU64);

/// Why bytes or a number are no period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeriodError {
    /// The text has not the form of a period.
    Form(String),
    /// Zero, or more than a hundred years.
    Range(String),
}

impl Period {
    /// The shortest period, one microsecond.
    pub const MIN: Self = Self(NonZeroU64::MIN);

    /// The longest period, a hundred years.
    pub const MAX: Self = Self(NonZeroU64::new(MAX_PERIOD_MICROS).expect("the constant is not zero"));

    /// A period of `micros` microseconds; `None` when it is zero or over a hundred years.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Option<Self> {
        match NonZeroU64::new(micros) {
            Some(micros) if micros.get() <= MAX_PERIOD_MICROS => Some(Self(micros)),
            _ => None,
        }
    }

    /// A period of `seconds` seconds; `None` when it is zero or over a hundred years.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// The length in microseconds, never 0.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.get()
    }

    /// Reads `500ms`, `60s`, `5m`, `1h`, `7d`, `250us`, or a plain number of milliseconds.
    ///
    /// # Errors
    /// [`PeriodError`] for another form, zero, or more than a hundred years.
    pub fn parse(text: &[u8]) -> Result<Self, PeriodError> {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, suffix) = text.split_at(digits);
        let scale = if suffix.is_empty() {
            Some(1_000)
        } else {
            SCALES
                .iter()
                .find(|(name, _)| suffix.eq_ignore_ascii_case(name.as_bytes()))
                .map(|&(_, micros)| micros)
        };
        let (Some(scale), false) = (scale, number.is_empty()) else {
            return Err(PeriodError::Form(super::error::shown(text)));
        };
        super::number::parse(number)
            .and_then(|number| number.checked_mul(scale))
            .and_then(Self::from_micros)
            .ok_or_else(|| PeriodError::Range(super::error::shown(text)))
    }
}

/// The normal form: the longest scale that tells the length exactly, so `60s` is told as `1m` and `90s` stays.
impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        let (name, scale) = SCALES
            .iter()
            .find(|(_, scale)| micros.is_multiple_of(*scale))
            .expect("one microsecond divides all");
        write!(formatter, "{}{name}", micros / scale)
    }
}

impl fmt::Display for PeriodError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(given) => write!(
                formatter,
                "period '{given}' must be a number with us, ms, s, m, h or d, or a plain number of milliseconds"
            ),
            Self::Range(given) => write!(formatter, "period '{given}' must be between 1us and 36525d"),
        }
    }
}

impl std::error::Error for PeriodError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_one_normal_form() {
        let check = |text: &str, expected: &str| {
            let period = Period::parse(text.as_bytes()).unwrap();
            assert_eq!(period.to_string(), expected);
            assert_eq!(Period::parse(expected.as_bytes()).unwrap(), period);
        };
        check("500ms", "500ms");
        check("500", "500ms");
        check("60s", "1m");
        check("90S", "90s");
        check("5m", "5m");
        check("24h", "1d");
        check("7d", "7d");
        check("1500us", "1500us");
        check("36525d", "36525d");
    }

    #[test]
    fn other_periods_are_refused() {
        let form = |text: &str| {
            assert!(matches!(Period::parse(text.as_bytes()), Err(PeriodError::Form(_))), "{text}")
        };
        ["", "s", "-1s", "+1s", "1.5s", "1 s", "1w", "1ss", " 1s", "0x1s"].into_iter().for_each(form);
        let range = |text: &str| {
            assert!(matches!(Period::parse(text.as_bytes()), Err(PeriodError::Range(_))), "{text}")
        };
        ["0", "0s", "36526d", "18446744073709551615", "99999999999999999999999d"].into_iter().for_each(range);
        assert_eq!(
            Period::parse(b"0s").unwrap_err().to_string(),
            "period '0s' must be between 1us and 36525d"
        );
    }
}
