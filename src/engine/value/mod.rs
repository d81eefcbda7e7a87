//! What a key can hold.
//!
//! **Owns** one file per type of value. **Does not own** keys, locks or expiry sweeps.
//! **May use** `quota`, `clock`.

mod quota;
mod text;

pub use quota::{QuotaSlot, QuotaSlots};
pub use text::{SHARED_FROM_BYTES, Text};

use crate::clock::Timestamp;
use crate::quota::{Limit, SpanCache};

/// A value, owned, with all of its state: what RENAME moves and COPY copies.
#[derive(Clone, Debug)]
pub enum Content {
    /// A string that is a canonical 64-bit integer: what INCR counts in.
    Integer(i64),
    /// Any other string.
    Text(Text),
    /// The arrival time of CL.THROTTLE and GCRA, packed.
    Throttle(u128),
    /// The state of one limit, packed.
    Quota(Limit, u128),
    /// The states of several limits, or of one that does not fit a word.
    Quotas(QuotaSlots),
}

/// The type of a value, as `TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Integers and texts.
    String,
    /// CL.THROTTLE's and GCRA's state.
    Throttle,
    /// Limits of QUOTA.TAKE.
    Quota,
}

impl Kind {
    /// The name `TYPE` answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Throttle => "throttle",
            Self::Quota => "quota",
        }
    }
}

impl Content {
    /// A string value: an integer where the bytes are one in canonical form, so that GET answers the same bytes.
    #[must_use]
    pub fn string(bytes: &[u8]) -> Self {
        canonical_integer(bytes).map_or_else(|| Self::Text(Text::new(bytes)), Self::Integer)
    }

    /// The type of the value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Integer(_) | Self::Text(_) => Kind::String,
            Self::Throttle(_) => Kind::Throttle,
            Self::Quota(..) | Self::Quotas(_) => Kind::Quota,
        }
    }

    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Throttle(_) | Self::Quota(..) => 0,
            Self::Text(text) => text.heap_bytes(),
            Self::Quotas(slots) => slots.heap_bytes(),
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn into_text(self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// When the value equals an absent one: only quota states have such a time of their own.
    #[must_use]
    pub fn fresh_at(&self, cache: &mut SpanCache) -> Freshness {
        match self {
            Self::Integer(_) | Self::Text(_) => Freshness::NotDerived,
            Self::Throttle(word) => Freshness::from(crate::quota::Throttle::fresh_at(*word)),
            Self::Quota(limit, word) => Freshness::from(limit.rule.word_fresh_at(*word, cache)),
            Self::Quotas(slots) => Freshness::from(slots.fresh_at(cache)),
        }
    }
}

/// Whether and when a value stops to matter by its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The value has no rule: an expiry is set on the key.
    NotDerived,
    /// It never becomes fresh again (a total budget that was used).
    Never,
    /// From this time on it equals an absent one.
    At(Timestamp),
}

impl From<Option<Timestamp>> for Freshness {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Never, Self::At)
    }
}

/// The longest decimal form of an `i64`: a sign and 19 digits.
const MAX_INTEGER_BYTES: usize = 20;

/// Reads a signed 64-bit integer in the one form that prints back to the same bytes: no plus, no leading zeros, no `-0`.
#[must_use]
pub fn canonical_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || bytes.len() > MAX_INTEGER_BYTES || (digits[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    let mut value: i64 = 0;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Accumulated on the negative side, which is one larger than the positive.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(canonical_integer(text.as_bytes()), expected);
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("-9223372036854775809", None);
        for text in ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "1e3", "99999999999999999999999"] {
            check(text, None);
        }
    }
}
