//! The entries of one shard of one database: an index of slot numbers beside a slab of entries.

use super::Hasher;
use super::dirty::Changes;
use super::entry::{Entry, Expiry, Plain, Value};
use super::index::Index;
use super::key::Key;
use super::limits::LimitTable;
use super::prefetch::line_of;
use super::random::Random;
use super::slab::Slab;
use super::sync::Word;
use super::value::Content;

/// Keys and values of one shard.
#[derive(Default)]
pub(super) struct Table {
    index: Index,
    slab: Slab,
}

impl Table {
    /// Entries, marks of absent keys included.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Keys that have a value.
    pub(super) fn keys(&self) -> usize {
        self.slab.len() - self.slab.known_absent()
    }

    /// Keys with an expiry set on them.
    pub(super) fn expiring(&self) -> usize {
        self.slab.expiring()
    }

    /// All bytes this table holds, without the allocator's own.
    pub(super) fn memory_bytes(&self) -> usize {
        self.index.heap_bytes() + self.slab.heap_bytes()
    }

    /// The slot of `key`.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |slot| self.slab.entry(slot).key.is(key))
    }

    /// Begins to load the bucket where a look-up of this hash starts.
    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        if let Some(bucket) = self.index.first_bucket(hash) {
            line_of(bucket);
        }
    }

    /// The entry that most likely has this hash; its key is not looked at.
    #[inline]
    pub(super) fn likely_entry(&self, hash: u64) -> Option<&Entry> {
        self.index.find(hash, |_| true).map(|slot| self.slab.entry(slot))
    }

    /// Which entries changed.
    pub(super) fn changes(&mut self) -> &mut Changes {
        self.slab.changes()
    }

    /// How much of what changed is not collected.
    pub(super) fn changed(&self) -> usize {
        self.slab.changed()
    }

    /// The entry at `slot`, and which entries changed.
    pub(super) fn entry_and_changes(&mut self, slot: u32) -> (&Entry, &mut Changes) {
        self.slab.entry_and_changes(slot)
    }

    #[inline]
    pub(super) fn entry(&self, slot: u32) -> &Entry {
        self.slab.entry(slot)
    }

    /// Adds `key`, which must not be there.
    pub(super) fn insert(&mut self, hasher: &Hasher, hash: u64, key: &[u8], value: Value, word: u128) -> u32 {
        debug_assert!(self.find(hash, key).is_none(), "a key is in its table once");
        let mut entry = Entry::vacant();
        entry.key = Key::new(key);
        entry.value = value;
        entry.word = Word::new(word);
        let slot = self.slab.insert(entry);
        let slab = &self.slab;
        self.index.insert(hash, slot, |slot| hasher.hash(slab.entry(slot).key.as_bytes()));
        slot
    }

    /// Puts another value under the key at `slot`; answers the one that was there.
    pub(super) fn replace(&mut self, slot: u32, value: Value, word: u128) -> Value {
        self.change(slot, |entry| {
            *entry.word.get_mut() = word;
            std::mem::replace(&mut entry.value, value)
        })
    }

    /// Changes the value at `slot` in place.
    pub(super) fn change<R>(&mut self, slot: u32, change: impl FnOnce(&mut Entry) -> R) -> R {
        self.slab.change(slot, change)
    }

    /// Takes the entry at `slot` out.
    pub(super) fn remove(&mut self, hasher: &Hasher, slot: u32) -> Entry {
        let slab = &self.slab;
        let hash_of = |slot| hasher.hash(slab.entry(slot).key.as_bytes());
        self.index.remove(hash_of(slot), slot, hash_of);
        self.slab.remove(slot)
    }

    /// The first slot at or after `from` that holds an entry.
    pub(super) fn next_used(&self, from: u32) -> Option<u32> {
        self.slab.next_used(from)
    }

    /// An entry's slot, chosen at random; `None`: there is none.
    pub(super) fn sample(&self, random: &mut Random) -> Option<u32> {
        self.slab.sample(random)
    }

    /// Bytes of memory that the next entries take.
    pub(super) fn vacant_bytes(&self) -> usize {
        self.slab.vacant_bytes()
    }

    /// One more than the highest slot number ever used.
    pub(super) fn slots(&self) -> u32 {
        self.slab.slots()
    }
}

/// The owned value of an entry, with its expiry.
pub(super) fn content_of(mut entry: Entry, limits: &LimitTable) -> (Content, Expiry) {
    let word = *entry.word.get_mut();
    let plain = Plain::unpack(word);
    match entry.value {
        Value::Vacant | Value::KnownAbsent => unreachable!("only live entries are taken"),
        Value::Integer => (Content::Integer(plain.integer), plain.expiry),
        Value::Text(text) => (Content::Text(*text), plain.expiry),
        Value::Throttle => (Content::Throttle(word), Expiry::NEVER),
        Value::Quota(limit) => (Content::Quota(limits.limit(limit), word), Expiry::NEVER),
        Value::Quotas(slots) => (Content::Quotas(slots), Expiry::NEVER),
    }
}

/// A copy of the value of an entry, with its expiry.
pub(super) fn copy_of(entry: &Entry, limits: &LimitTable) -> (Content, Expiry) {
    let word = entry.word.load();
    let plain = Plain::unpack(word);
    match &entry.value {
        Value::Vacant | Value::KnownAbsent => unreachable!("only live entries are taken"),
        Value::Integer => (Content::Integer(plain.integer), plain.expiry),
        Value::Text(text) => (Content::Text(text.as_ref().clone()), plain.expiry),
        Value::Throttle => (Content::Throttle(word), Expiry::NEVER),
        Value::Quota(limit) => (Content::Quota(limits.limit(*limit), word), Expiry::NEVER),
        Value::Quotas(slots) => (Content::Quotas(slots.clone()), Expiry::NEVER),
    }
}

/// How `content` lies in an entry.
pub(super) fn stored(content: Content, expiry: Expiry, limits: &LimitTable) -> (Value, u128) {
    match content {
        Content::Integer(integer) => (Value::Integer, Plain { integer, expiry }.pack()),
        Content::Text(text) => (Value::Text(Box::new(text)), Plain { integer: 0, expiry }.pack()),
        Content::Throttle(word) => (Value::Throttle, word),
        Content::Quota(limit, word) => match limits.number(&limit) {
            Some(id) => (Value::Quota(id), word),
            None => (Value::Quotas(super::value::QuotaSlots::of_word(limit, word)), 0),
        },
        Content::Quotas(slots) => (Value::Quotas(slots), 0),
    }
}

/// Takes the string out of an entry that holds one; an empty text stays until another value is put there.
pub(super) fn take_string(entry: &mut Entry) -> Option<(Content, Expiry)> {
    let plain = Plain::unpack(*entry.word.get_mut());
    match std::mem::replace(&mut entry.value, Value::Integer) {
        Value::Integer => Some((Content::Integer(plain.integer), plain.expiry)),
        Value::Text(text) => Some((Content::Text(*text), plain.expiry)),
        other => {
            entry.value = other;
            None
        }
    }
}
