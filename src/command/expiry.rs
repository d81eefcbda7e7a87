//! The forms in which a client names an expiry, and how Redis computes with them.

use crate::clock::Timestamp;
use crate::dispatch::CommandError;
use crate::dispatch::args::is_keyword;
use crate::engine::Expiry;

/// What the number of an expiry counts, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// Seconds from now: EX.
    Seconds,
    /// Milliseconds from now: PX.
    Millis,
    /// Seconds since the epoch: EXAT.
    AtSeconds,
    /// Milliseconds since the epoch: PXAT.
    AtMillis,
}

impl Term {
    /// The term that an option of SET and its kin names.
    pub(super) fn of_option(word: &[u8]) -> Option<Self> {
        let terms = [
            ("ex", Self::Seconds),
            ("px", Self::Millis),
            ("exat", Self::AtSeconds),
            ("pxat", Self::AtMillis),
        ];
        terms.into_iter().find(|(keyword, _)| is_keyword(word, keyword)).map(|(_, term)| term)
    }

    /// Milliseconds since the epoch, which may be past or below zero; `None` when they do not fit 64 bits.
    pub(super) fn millis(self, number: i64, now: Timestamp) -> Option<i64> {
        let millis = match self {
            Self::Seconds | Self::AtSeconds => number.checked_mul(1_000)?,
            Self::Millis | Self::AtMillis => number,
        };
        match self {
            Self::Seconds | Self::Millis => millis.checked_add(i64::try_from(now.as_millis()).ok()?),
            Self::AtSeconds | Self::AtMillis => Some(millis),
        }
    }

    /// The expiry that SET and its kin accept: the number must be above zero.
    ///
    /// # Errors
    /// [`CommandError::InvalidExpire`] that names `command`.
    pub(super) fn positive(self, number: i64, now: Timestamp, command: &str) -> Result<Expiry, CommandError> {
        let millis = if number > 0 { self.millis(number, now) } else { None };
        millis.map(of_millis).ok_or_else(|| CommandError::InvalidExpire(command.to_owned()))
    }
}

/// The expiry at these milliseconds since the epoch; what lies before the epoch has passed like the epoch itself.
pub(super) fn of_millis(millis: i64) -> Expiry {
    Expiry::at_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_999);

    #[test]
    fn terms_count_from_now_or_from_the_epoch() {
        let check = |term: Term, number: i64, expected: Option<i64>| {
            assert_eq!(term.millis(number, NOW), expected, "{term:?} {number}");
        };
        check(Term::Seconds, 2, Some(3_000));
        check(Term::Millis, 2, Some(1_002));
        check(Term::AtSeconds, 2, Some(2_000));
        check(Term::AtMillis, 2, Some(2));
        check(Term::Millis, -2_000, Some(-1_000));
        check(Term::Seconds, i64::MAX / 1_000 + 1, None);
        check(Term::Seconds, i64::MIN, None);
        check(Term::AtSeconds, i64::MAX / 1_000, Some(9_223_372_036_854_775_000));
        check(Term::Millis, i64::MAX - 1_000, Some(i64::MAX));
        check(Term::Millis, i64::MAX - 999, None);
        check(Term::AtMillis, i64::MAX, Some(i64::MAX));
    }

    #[test]
    fn set_refuses_what_is_not_above_zero() {
        let refused = Err(CommandError::InvalidExpire("set".to_owned()));
        assert_eq!(Term::Millis.positive(0, NOW, "set"), refused);
        assert_eq!(Term::AtMillis.positive(-1, NOW, "set"), refused);
        assert_eq!(Term::Seconds.positive(i64::MAX, NOW, "set"), refused);
        assert_eq!(Term::AtMillis.positive(7, NOW, "set"), Ok(Expiry::at_millis(7)));
    }

    #[test]
    fn options_are_read_in_any_case() {
        assert_eq!(Term::of_option(b"EX"), Some(Term::Seconds));
        assert_eq!(Term::of_option(b"pxAt"), Some(Term::AtMillis));
        assert_eq!(Term::of_option(b"exa"), None);
    }
}
