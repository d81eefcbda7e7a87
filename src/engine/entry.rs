//! One entry: 64 bytes with its key, its value and the word that is changed by compare-and-swap.

use std::sync::atomic::{AtomicU32, Ordering};

use super::generation::Mark;
use super::key::Key;
use super::limits::LimitId;
use super::sync::Word;
use super::value::{Freshness, Kind, QuotaSlots, Text};
use crate::clock::Timestamp;
use crate::quota::{SpanCache, Throttle};

/// What the word of an entry means, and what lies beside it.
#[derive(Default)]
pub(super) enum Value {
    /// No entry is here.
    #[default]
    Vacant,
    /// The key is known to be absent: only in front of a truth, where a key that is not in memory is unknown.
    KnownAbsent,
    /// The word is an integer with an expiry, see [`Plain`].
    Integer,
    /// The word's integer is unused, its expiry is the text's.
    Text(Box<Text>),
    /// The word is an arrival time.
    Throttle,
    /// The word is the packed state of this one limit.
    Quota(LimitId),
    /// The word is unused.
    Quotas(QuotaSlots),
}

/// One key in memory with its value.
///
/// Aligned to a cache line, so that a take touches one line of it and two threads never share one by accident.
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) word: Word,
    pub(super) key: Key,
    pub(super) value: Value,
    /// Seconds since the epoch, low 32 bits: when the entry was last used.
    touched_secs: AtomicU32,
    /// A [`Mark`]; set under exclusive guards only.
    mark: AtomicU32,
}

impl Entry {
    pub(super) fn vacant() -> Self {
        Self {
            word: Word::new(0),
            key: Key::EMPTY,
            value: Value::Vacant,
            touched_secs: AtomicU32::new(0),
            mark: AtomicU32::new(0),
        }
    }

    /// The type of the value; a vacant entry has none.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.value {
            Value::Vacant | Value::KnownAbsent => None,
            Value::Integer | Value::Text(_) => Some(Kind::String),
            Value::Throttle => Some(Kind::Throttle),
            Value::Quota(_) | Value::Quotas(_) => Some(Kind::Quota),
        }
    }

    /// Whether the entry carries an expiry that has passed. Quota states are never expired: they become fresh.
    #[inline]
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        match self.value {
            Value::Integer | Value::Text(_) => Plain::unpack(self.word.load()).is_expired(now),
            _ => false,
        }
    }

    /// Whether there is a value that has not expired.
    #[inline]
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        match self.value {
            Value::Vacant | Value::KnownAbsent => false,
            _ => !self.is_expired(now),
        }
    }

    /// Whether an expiry is set on the key, passed or not.
    pub(super) fn has_expiry(&mut self) -> bool {
        matches!(self.value, Value::Integer | Value::Text(_))
            && Plain::unpack(*self.word.get_mut()).expiry != Expiry::NEVER
    }

    /// The expiry that is set on the key.
    pub(super) fn expiry(&self) -> Expiry {
        match self.value {
            Value::Integer | Value::Text(_) => Plain::unpack(self.word.load()).expiry,
            _ => Expiry::NEVER,
        }
    }

    /// Milliseconds until the expiry that is set on the key; `None` where there is none or it has passed.
    pub(super) fn remaining_ms(&self, now: Timestamp) -> Option<u64> {
        match self.value {
            Value::Integer | Value::Text(_) => {
                let end = Plain::unpack(self.word.load()).expiry.as_millis()?;
                end.checked_sub(now.as_micros() / 1_000).filter(|&millis| millis > 0)
            }
            _ => None,
        }
    }

    /// Whether the entry only says that its key is absent.
    pub(super) fn is_known_absent(&self) -> bool {
        matches!(self.value, Value::KnownAbsent)
    }

    /// When a quota state equals an absent one.
    pub(super) fn fresh_at(&self, limits: &super::limits::LimitTable, cache: &mut SpanCache) -> Freshness {
        match &self.value {
            Value::Vacant | Value::KnownAbsent | Value::Integer | Value::Text(_) => Freshness::NotDerived,
            Value::Throttle => Throttle::fresh_at(self.word.load()).into(),
            Value::Quota(limit) => limits.limit(*limit).rule.word_fresh_at(self.word.load(), cache).into(),
            Value::Quotas(slots) => slots.fresh_at(cache).into(),
        }
    }

    /// What is known of its last change.
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark::from_bits(self.mark.load(Ordering::Relaxed))
    }

    /// Under an exclusive guard, which orders it.
    pub(super) fn set_mark(&self, mark: Mark) {
        self.mark.store(mark.bits(), Ordering::Relaxed);
    }

    /// Notes a use; writes only when the second changed, so that readers do not contend for the line.
    #[inline]
    pub(super) fn touch(&self, now: Timestamp) {
        let now_secs = low_secs(now);
        if self.touched_secs.load(Ordering::Relaxed) != now_secs {
            self.touched_secs.store(now_secs, Ordering::Relaxed);
        }
    }

    /// Seconds since the last use.
    pub(super) fn idle_secs(&self, now: Timestamp) -> u64 {
        u64::from(low_secs(now).wrapping_sub(self.touched_secs.load(Ordering::Relaxed)))
    }

    /// Bytes of the entry with its key and value, and its share of the index, without the allocator's own.
    pub(super) fn memory_bytes(&self) -> usize {
        // A bucket of the index is a 32-bit number, in a table that is on average 5/8 full.
        const INDEX_BYTES: usize = 8;
        size_of::<Self>() + INDEX_BYTES + self.heap_bytes()
    }

    /// Bytes on the heap, without the allocator's own.
    pub(super) fn heap_bytes(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.heap_bytes(),
            Value::Quotas(slots) => slots.heap_bytes(),
            Value::Vacant | Value::KnownAbsent | Value::Integer | Value::Throttle | Value::Quota(_) => 0,
        };
        self.key.heap_bytes() + value
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is kept")]
#[inline]
fn low_secs(now: Timestamp) -> u32 {
    now.as_secs() as u32
}

/// The word of an integer or text: the integer above, the expiry below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) integer: i64,
    pub(super) expiry: Expiry,
}

/// When a key ends: milliseconds since the epoch, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Expiry(u64);

impl Expiry {
    /// The key stays.
    pub const NEVER: Self = Self(0);

    /// The key ends at `millis` since the epoch; 0 is taken as 1, since 0 stands for never.
    #[must_use]
    pub fn at_millis(millis: u64) -> Self {
        Self(millis.max(1))
    }

    /// Milliseconds since the epoch; `None`: never.
    #[must_use]
    pub fn as_millis(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.0)
    }

    /// Whether the key is gone at `now`: from the named millisecond on.
    #[inline]
    #[must_use]
    pub fn has_passed(self, now: Timestamp) -> bool {
        self.0 != 0 && now.as_micros() >= self.0.saturating_mul(1_000)
    }
}

impl Plain {
    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "the bits are kept, and unpack reads them back")]
    pub(super) const fn pack(self) -> u128 {
        ((self.integer as u64 as u128) << 64) | self.expiry.0 as u128
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "each half is read alone"
    )]
    pub(super) const fn unpack(word: u128) -> Self {
        Self { integer: (word >> 64) as u64 as i64, expiry: Expiry(word as u64) }
    }

    #[inline]
    pub(super) fn is_expired(self, now: Timestamp) -> bool {
        self.expiry.has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(feature = "shuttle"))]
    fn an_entry_is_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
        assert_eq!(align_of::<Entry>(), 64);
    }

    #[test]
    fn plain_words_come_back() {
        for integer in [0, 1, -1, i64::MIN, i64::MAX] {
            for expiry in [Expiry::NEVER, Expiry::at_millis(0), Expiry::at_millis(u64::MAX)] {
                let plain = Plain { integer, expiry };
                assert_eq!(Plain::unpack(plain.pack()), plain);
            }
        }
    }

    #[test]
    fn expiry_is_exact_to_the_millisecond() {
        let expiry = Expiry::at_millis(5);
        assert!(!expiry.has_passed(Timestamp::from_micros(4_999)));
        assert!(expiry.has_passed(Timestamp::from_micros(5_000)));
        assert!(!Expiry::NEVER.has_passed(Timestamp::MAX));
    }
}
