//! Why a limit cannot be: the one error of the limits' constructors, with texts for clients.

use std::fmt;

use super::calendar::CalendarPeriod;

/// The most bytes of a client's text that an error repeats: enough to find the mistake, too few to flood a log.
const MAX_SHOWN_BYTES: usize = 64;

/// A client's bytes as an error shows them: printable ASCII, and no more than [`MAX_SHOWN_BYTES`] of it.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut text: String = bytes
        .iter()
        .take(MAX_SHOWN_BYTES)
        .map(|&byte| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' })
        .collect();
    if bytes.len() > MAX_SHOWN_BYTES {
        text.push_str("...");
    }
    text
}

/// Why numbers make no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// A number is out of its range.
    OutOfRange {
        /// Which number, as the client knows it.
        what: &'static str,
        /// What was given.
        given: u64,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
    /// A bucket would take more than a hundred years to fill.
    RefillTooLong {
        /// Units per period.
        count: u64,
        /// Units the bucket holds.
        burst: u64,
    },
    /// The period cannot begin there.
    Anchor {
        /// The calendar period.
        period: CalendarPeriod,
        /// What was given, as errors show it.
        given: String,
    },
}

impl LimitError {
    /// Checks that `given` lies in `least..=most`.
    pub(super) const fn check(what: &'static str, given: u64, least: u64, most: u64) -> Result<u64, Self> {
        if given < least || given > most {
            return Err(Self::OutOfRange { what, given, least, most });
        }
        Ok(given)
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { what, given, least, most } => {
                write!(formatter, "{what} {given} must be between {least} and {most}")
            }
            Self::RefillTooLong { count, burst } => {
                write!(formatter, "burst {burst} at {count} per period must refill within 100 years")
            }
            Self::Anchor { period, given } => {
                write!(formatter, "anchor {given} must be {} for {period}", period.anchors())
            }
        }
    }
}

impl std::error::Error for LimitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_is_short_and_printable() {
        assert_eq!(shown(b"a\r\n\xff b"), "a??? b");
        assert_eq!(shown(&[b'x'; 1_000]).len(), MAX_SHOWN_BYTES + 3);
    }
}
