//! The columns of a block: like beside like, so that they pack well.
//!
//! A block is the lengths of its columns, then the columns in the order of [`Column`]. Keys are the bytes shared with the key before, then
//! those that follow; words and expiries are taken apart, the highest bytes of all first. Values have the forms of
//! [`persist::encode`](crate::persist::encode), each limit once in the block, named by its number.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::packing::Packing;
use crate::engine::Expiry;
use crate::engine::value::{Content, Text};
use crate::persist::bytes::{put_length, put_number, put_signed};
use crate::persist::content::{kind, put_log, state};
use crate::persist::limit::put_limit;
use crate::quota::{Limit, State};

/// The columns, as they are ordered for good.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// The limits, each once, in the order of their first use.
    Limits,
    /// The database of each entry, a byte.
    Databases,
    /// The kind of each value, a byte.
    Kinds,
    /// How many bytes of each key are those of the key before.
    Shared,
    /// How many bytes of each key follow.
    KeyLengths,
    /// Those bytes.
    Keys,
    /// The integers.
    Integers,
    /// Which limit each slot has, a number from 0.
    LimitNumbers,
    /// Of each value with slots: how many; of each of them the form of its state, and a log.
    Slots,
    /// The length of each text.
    TextLengths,
    /// The texts.
    Texts,
    /// The states and arrival times that are words.
    Words,
    /// The expiry of each entry in milliseconds, 0 for none.
    Expiries,
}

/// How many columns there are.
pub(super) const COLUMNS: usize = 13;

/// The bytes of a word.
pub(super) const WORD_BYTES: usize = size_of::<u128>();

/// The bytes of an expiry.
pub(super) const EXPIRY_BYTES: usize = size_of::<u64>();

/// Limits that are compared before they are looked up: comparing four is faster than hashing one.
const RECENT_LIMITS: usize = 4;

/// Entries for which a new block has room.
const FIRST_ENTRIES: usize = 4_096;

/// Bytes over which a column's memory is given back when the block is done.
const KEPT_BYTES: usize = 1 << 20;

/// The entries of one block, taken apart.
#[derive(Default)]
pub(super) struct Columns {
    count: u32,
    limits: Vec<u8>,
    numbers: HashMap<Limit, u64, FixedState>,
    /// The limits that were looked up last, which are mostly those of the next slots too.
    recent: [Option<(Limit, u64)>; RECENT_LIMITS],
    /// Which of them is replaced next.
    oldest: usize,
    /// The key before.
    key: Vec<u8>,
    databases: Vec<u8>,
    kinds: Vec<u8>,
    shared: Vec<u8>,
    key_lengths: Vec<u8>,
    keys: Vec<u8>,
    integers: Vec<u8>,
    limit_numbers: Vec<u8>,
    slots: Vec<u8>,
    text_lengths: Vec<u8>,
    texts: Texts,
    words: Vec<u128>,
    expiries: Vec<u64>,
}

/// Texts one behind the other; large ones are held, not copied, while a guard is held.
#[derive(Default)]
struct Texts {
    small: Vec<u8>,
    /// Each with how many bytes of `small` stand before it.
    large: Vec<(usize, Arc<Vec<u8>>)>,
    large_bytes: usize,
}

impl Columns {
    /// With room for a usual block, so that it need not grow under a guard.
    pub(super) fn with_room() -> Self {
        let bytes = || Vec::with_capacity(FIRST_ENTRIES);
        Self {
            databases: bytes(),
            kinds: bytes(),
            shared: bytes(),
            key_lengths: bytes(),
            keys: Vec::with_capacity(FIRST_ENTRIES * 16),
            words: Vec::with_capacity(FIRST_ENTRIES),
            expiries: Vec::with_capacity(FIRST_ENTRIES),
            ..Self::default()
        }
    }

    /// How many entries it has.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The bytes of all columns.
    pub(super) fn bytes(&self) -> usize {
        self.lengths().iter().sum()
    }

    /// The length of each column.
    fn lengths(&self) -> [usize; COLUMNS] {
        [
            self.limits.len(),
            self.databases.len(),
            self.kinds.len(),
            self.shared.len(),
            self.key_lengths.len(),
            self.keys.len(),
            self.integers.len(),
            self.limit_numbers.len(),
            self.slots.len(),
            self.text_lengths.len(),
            self.texts.small.len() + self.texts.large_bytes,
            self.words.len() * WORD_BYTES,
            self.expiries.len() * EXPIRY_BYTES,
        ]
    }

    /// Adds an entry.
    #[inline]
    pub(super) fn push(&mut self, database: u8, key: &[u8], content: &Content, expiry: Expiry) {
        self.count += 1;
        self.databases.push(database);
        self.push_key(key);
        self.expiries.push(expiry.as_millis().unwrap_or(0));
        match content {
            Content::Integer(integer) => {
                self.kinds.push(kind::INTEGER);
                put_signed(&mut self.integers, *integer);
            }
            Content::Text(text) => {
                self.kinds.push(kind::TEXT);
                put_length(&mut self.text_lengths, text.as_bytes().len());
                self.texts.push(text);
            }
            Content::Throttle(word) => {
                self.kinds.push(kind::THROTTLE);
                self.words.push(*word);
            }
            Content::Quota(limit, word) => {
                self.kinds.push(kind::QUOTA);
                self.push_limit(limit);
                self.words.push(*word);
            }
            Content::Quotas(slots) => {
                self.kinds.push(kind::QUOTAS);
                put_length(&mut self.slots, slots.as_slice().len());
                for slot in slots.as_slice() {
                    self.push_limit(&slot.limit);
                    self.push_state(&slot.state);
                }
            }
        }
    }

    fn push_key(&mut self, key: &[u8]) {
        let shared = shared_length(&self.key, key);
        let follows = &key[shared..];
        put_length(&mut self.shared, shared);
        put_length(&mut self.key_lengths, follows.len());
        self.keys.extend_from_slice(follows);
        self.key.truncate(shared);
        self.key.extend_from_slice(follows);
    }

    fn push_limit(&mut self, limit: &Limit) {
        let recent = self.recent.iter().flatten().find(|(recent, _)| recent == limit);
        let number = match recent {
            Some((_, number)) => *number,
            None => {
                let number = self.number_of(limit);
                self.recent[self.oldest] = Some((*limit, number));
                self.oldest = (self.oldest + 1) % RECENT_LIMITS;
                number
            }
        };
        put_number(&mut self.limit_numbers, number);
    }

    fn number_of(&mut self, limit: &Limit) -> u64 {
        if let Some(number) = self.numbers.get(limit) {
            return *number;
        }
        let number = u64::try_from(self.numbers.len()).expect("a length fits 64 bits");
        self.numbers.insert(*limit, number);
        put_limit(&mut self.limits, limit);
        number
    }

    fn push_state(&mut self, state: &State) {
        match state {
            State::Word(word) => {
                self.slots.push(state::WORD);
                self.words.push(*word);
            }
            State::Log(log) => {
                self.slots.push(state::LOG);
                put_log(&mut self.slots, log);
            }
        }
    }

    /// The lengths of the columns, which come before them.
    pub(super) fn directory(&self) -> Vec<u8> {
        let mut directory = Vec::with_capacity(4 * COLUMNS);
        self.lengths().into_iter().for_each(|length| put_length(&mut directory, length));
        directory
    }

    /// Adds the directory and the columns in their order.
    pub(super) fn feed(&self, directory: &[u8], plane: &mut Vec<u8>, packing: &mut Packing<'_>) {
        let before = [
            directory,
            &self.limits,
            &self.databases,
            &self.kinds,
            &self.shared,
            &self.key_lengths,
            &self.keys,
            &self.integers,
            &self.limit_numbers,
            &self.slots,
            &self.text_lengths,
        ];
        before.into_iter().for_each(|column| packing.column(column));
        let mut from = 0;
        for (to, large) in &self.texts.large {
            packing.part(&self.texts.small[from..*to]);
            packing.part(large);
            from = *to;
        }
        packing.column(&self.texts.small[from..]);
        for at in 0..WORD_BYTES {
            plane.clear();
            plane.extend(self.words.iter().map(|word| word.to_be_bytes()[at]));
            packing.column(plane);
        }
        for at in 0..EXPIRY_BYTES {
            plane.clear();
            plane.extend(self.expiries.iter().map(|expiry| expiry.to_be_bytes()[at]));
            packing.column(plane);
        }
    }

    /// Drops all entries; memory for as many as usual stays.
    pub(super) fn clear(&mut self) {
        if self.bytes() > KEPT_BYTES || self.key.len() > KEPT_BYTES {
            *self = Self::with_room();
            return;
        }
        self.count = 0;
        self.numbers.clear();
        self.recent = [None; RECENT_LIMITS];
        self.texts.large.clear();
        self.texts.large_bytes = 0;
        self.words.clear();
        self.expiries.clear();
        let columns = [
            &mut self.limits,
            &mut self.key,
            &mut self.databases,
            &mut self.kinds,
            &mut self.shared,
            &mut self.key_lengths,
            &mut self.keys,
            &mut self.integers,
            &mut self.limit_numbers,
            &mut self.slots,
            &mut self.text_lengths,
            &mut self.texts.small,
        ];
        columns.into_iter().for_each(Vec::clear);
    }
}

/// How many bytes two keys begin with alike; eight at a time, since keys of one kind share most.
fn shared_length(one: &[u8], other: &[u8]) -> usize {
    let words = one.chunks_exact(8).zip(other.chunks_exact(8));
    let start = words.take_while(|(one, other)| one == other).count() * 8;
    let rest = one[start..].iter().zip(&other[start..]);
    start + rest.take_while(|(one, other)| one == other).count()
}

impl Texts {
    fn push(&mut self, text: &Text) {
        match text {
            Text::Owned(bytes) => self.small.extend_from_slice(bytes),
            Text::Shared(bytes) => {
                self.large_bytes += bytes.len();
                self.large.push((self.small.len(), Arc::clone(bytes)));
            }
        }
    }
}
