//! What a reader sees of an entry while its shard is guarded.

use std::sync::Arc;

use super::entry::{Entry, Expiry, Plain, Value};
use super::limits::LimitTable;
use super::table::copy_of;
use super::value::{Content, Freshness, Kind, QuotaSlot, Text};
use crate::clock::Timestamp;
use crate::quota::{SpanCache, State};

/// A live entry, under a guard.
#[derive(Clone, Copy)]
pub struct View<'a> {
    entry: &'a Entry,
    limits: &'a LimitTable,
}

/// A string value, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum StringView<'a> {
    /// A canonical integer.
    Integer(i64),
    /// Other bytes.
    Text(&'a Text),
}

impl StringView<'_> {
    /// The length of the bytes GET answers.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Integer(integer) => itoa::Buffer::new().format(integer).len(),
            Self::Text(text) => text.as_bytes().len(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A large value, to be read after the guard is gone; `None` for one that is small enough to copy under it.
    #[must_use]
    pub fn shared(self) -> Option<Arc<Vec<u8>>> {
        match self {
            Self::Text(Text::Shared(bytes)) => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// Runs `read` on the bytes GET answers.
    pub fn with_bytes<R>(self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Integer(integer) => read(itoa::Buffer::new().format(integer).as_bytes()),
            Self::Text(text) => read(text.as_bytes()),
        }
    }
}

impl<'a> View<'a> {
    /// `None` for an entry that does not count: vacant, expired, or a mark that the key is absent.
    #[inline]
    pub(super) fn of(entry: &'a Entry, limits: &'a LimitTable, now: Timestamp) -> Option<Self> {
        entry.is_live(now).then_some(Self { entry, limits })
    }

    /// The type of the value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.entry.kind().expect("only entries with a value are viewed")
    }

    /// The string; `None` for a value of another type.
    #[must_use]
    #[inline]
    pub fn string(&self) -> Option<StringView<'a>> {
        match &self.entry.value {
            Value::Integer => Some(StringView::Integer(Plain::unpack(self.entry.word.load()).integer)),
            Value::Text(text) => Some(StringView::Text(text)),
            _ => None,
        }
    }

    /// The expiry that was set on the key; quota states have none.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.entry.expiry()
    }

    /// When a quota state equals an absent one.
    #[must_use]
    pub fn fresh_at(&self, cache: &mut SpanCache) -> Freshness {
        self.entry.fresh_at(self.limits, cache)
    }

    /// Whether this is a quota state that equals an absent one by now; it is swept in time.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp, cache: &mut SpanCache) -> bool {
        matches!(self.fresh_at(cache), Freshness::At(end) if end <= now)
    }

    /// The limits of a subject with their states; empty for other types.
    #[must_use]
    pub fn quota_slots(&self) -> Vec<QuotaSlot> {
        match &self.entry.value {
            Value::Quota(limit) => {
                let id = Some(*limit);
                vec![QuotaSlot {
                    limit: self.limits.limit(*limit),
                    id,
                    state: State::Word(self.entry.word.load()),
                }]
            }
            Value::Quotas(slots) => slots.as_slice().to_vec(),
            _ => Vec::new(),
        }
    }

    /// A copy of the whole value with its expiry.
    #[must_use]
    pub fn copy(&self) -> (Content, Expiry) {
        copy_of(self.entry, self.limits)
    }

    /// Seconds since the last use.
    #[must_use]
    pub fn idle_secs(&self, now: Timestamp) -> u64 {
        self.entry.idle_secs(now)
    }

    /// Bytes of the entry with its key and value, and its share of the index, without the allocator's own.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.entry.memory_bytes()
    }
}
