//! The entries of a block, put together from its columns.
//!
//! Columns have one form: what is read here is written again as the same bytes.

use std::collections::HashSet;

use super::columns::{COLUMNS, Column, EXPIRY_BYTES, WORD_BYTES};
use super::error::{FormatError, Place, Problem};
use crate::engine::value::{Content, Text};
use crate::engine::{DATABASES, Expiry};
use crate::persist::DecodeError;
use crate::persist::bytes::Reader;
use crate::persist::content::{collect_slots, kind, log, state};
use crate::persist::limit::limit;
use crate::quota::{Limit, State};

/// One key with its value.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: &'a [u8],
    /// The value.
    pub content: Content,
    /// When the key ends.
    pub expiry: Expiry,
}

/// What is left of the columns of a block.
struct Columns<'a> {
    databases: &'a [u8],
    kinds: &'a [u8],
    shared: Reader<'a>,
    key_lengths: Reader<'a>,
    keys: &'a [u8],
    integers: Reader<'a>,
    limits: Vec<Limit>,
    /// How many of the limits were used.
    used_limits: usize,
    limit_numbers: Reader<'a>,
    slots: Reader<'a>,
    text_lengths: Reader<'a>,
    texts: &'a [u8],
    words: Planes<'a>,
    expiries: Planes<'a>,
}

/// Reads the columns of block `number`, which are of `count` entries, and shows each entry to `visit`.
pub(super) fn read_entries<E: From<FormatError>>(
    raw: &[u8],
    number: u32,
    count: u32,
    visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let wrong = |error| E::from(FormatError::new(Place::Block(number), Problem::Decode(error)));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut columns = Columns::read(raw, count).map_err(wrong)?;
    let mut key = Vec::new();
    for at in 0..count {
        let database = columns.databases[at];
        columns.key(&mut key).map_err(wrong)?;
        let content = columns.content(columns.kinds[at]).map_err(wrong)?;
        let expiry = columns.expiry(at);
        visit(Entry { database, key: &key, content, expiry })?;
    }
    columns.end().map_err(wrong)
}

impl<'a> Columns<'a> {
    fn read(raw: &'a [u8], count: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw);
        let mut lengths = [0; COLUMNS];
        for length in &mut lengths {
            *length = reader.count("length of a column", 1)?;
        }
        let mut rest = reader.rest();
        let mut columns: [&[u8]; COLUMNS] = [&[]; COLUMNS];
        for (column, length) in columns.iter_mut().zip(lengths) {
            (*column, rest) = rest.split_at_checked(length).ok_or(DecodeError::Ends { part: "columns" })?;
        }
        if !rest.is_empty() {
            return Err(DecodeError::Follows { bytes: rest.len() });
        }
        let bytes = |column: Column| columns[column as usize];
        let reader = |column: Column| Reader::new(columns[column as usize]);
        let databases = bytes(Column::Databases);
        if let Some(&database) = databases.iter().find(|database| usize::from(**database) >= DATABASES) {
            return Err(DecodeError::Unknown { part: "database", found: database.into() });
        }
        let expiries = Planes::new(bytes(Column::Expiries), EXPIRY_BYTES)?;
        if databases.len() != count || bytes(Column::Kinds).len() != count || expiries.count != count {
            return Err(DecodeError::refused("columns", format_args!("they are not of {count} entries")));
        }
        Ok(Self {
            databases,
            kinds: bytes(Column::Kinds),
            shared: reader(Column::Shared),
            key_lengths: reader(Column::KeyLengths),
            keys: bytes(Column::Keys),
            integers: reader(Column::Integers),
            limits: limits(reader(Column::Limits))?,
            used_limits: 0,
            limit_numbers: reader(Column::LimitNumbers),
            slots: reader(Column::Slots),
            text_lengths: reader(Column::TextLengths),
            texts: bytes(Column::Texts),
            words: Planes::new(bytes(Column::Words), WORD_BYTES)?,
            expiries,
        })
    }

    /// Makes the next key of the one before.
    #[inline]
    fn key(&mut self, key: &mut Vec<u8>) -> Result<(), DecodeError> {
        let shared = usize::try_from(self.shared.number("shared bytes of a key")?).unwrap_or(usize::MAX);
        let follows = take(&mut self.keys, &mut self.key_lengths, "key")?;
        match key.get(shared) {
            None if shared > key.len() => {
                return Err(DecodeError::refused("shared bytes of a key", "the key before has fewer"));
            }
            Some(other) if follows.first() == Some(other) => {
                return Err(DecodeError::refused("shared bytes of a key", "the keys share more"));
            }
            _ => {}
        }
        key.truncate(shared);
        key.extend_from_slice(follows);
        Ok(())
    }

    #[inline]
    fn content(&mut self, kind: u8) -> Result<Content, DecodeError> {
        Ok(match kind {
            kind::INTEGER => Content::Integer(self.integers.signed("integer")?),
            kind::TEXT => Content::Text(Text::new(take(&mut self.texts, &mut self.text_lengths, "text")?)),
            kind::THROTTLE => Content::Throttle(self.words.next("arrival time")?),
            kind::QUOTA => Content::Quota(self.limit()?, self.words.next("state")?),
            kind::QUOTAS => {
                // A slot's form has a byte at least.
                let count = self.slots.count("slots", 1)?;
                Content::Quotas(collect_slots(count, || Ok((self.limit()?, self.state()?)))?)
            }
            found => return Err(DecodeError::Unknown { part: "kind of value", found: found.into() }),
        })
    }

    /// The limit of the next slot. The first one that is named is the first of all, and so on.
    #[inline]
    fn limit(&mut self) -> Result<Limit, DecodeError> {
        let found = self.limit_numbers.number("number of a limit")?;
        let number = usize::try_from(found).unwrap_or(usize::MAX);
        let is_known = number <= self.used_limits;
        let limit = self.limits.get(number).filter(|_| is_known);
        let limit = *limit.ok_or(DecodeError::Unknown { part: "number of a limit", found })?;
        self.used_limits = self.used_limits.max(number + 1);
        Ok(limit)
    }

    fn state(&mut self) -> Result<State, DecodeError> {
        match self.slots.byte("form of a state")? {
            state::WORD => Ok(State::Word(self.words.next("state")?)),
            state::LOG => Ok(State::Log(Box::new(log(&mut self.slots)?))),
            found => Err(DecodeError::Unknown { part: "form of a state", found: found.into() }),
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an expiry has as many planes as 64 bits have bytes")]
    fn expiry(&self, at: usize) -> Expiry {
        match self.expiries.word(at) as u64 {
            0 => Expiry::NEVER,
            millis => Expiry::at_millis(millis),
        }
    }

    /// Checks that nothing is left of any column.
    fn end(&self) -> Result<(), DecodeError> {
        let readers = [
            &self.shared,
            &self.key_lengths,
            &self.integers,
            &self.limit_numbers,
            &self.slots,
            &self.text_lengths,
        ];
        readers.into_iter().try_for_each(Reader::end)?;
        let unused = [
            ("limits", self.limits.len() - self.used_limits),
            ("keys", self.keys.len()),
            ("texts", self.texts.len()),
            ("words", self.words.count - self.words.next),
        ];
        match unused.into_iter().find(|(_, left)| *left != 0) {
            Some((part, left)) => Err(DecodeError::refused(part, format_args!("{left} belong to no entry"))),
            None => Ok(()),
        }
    }
}

/// The next bytes of a column, as many as the next number of its lengths says.
#[inline]
fn take<'a>(
    bytes: &mut &'a [u8],
    lengths: &mut Reader<'_>,
    part: &'static str,
) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(lengths.number(part)?).unwrap_or(usize::MAX);
    let (taken, rest) = bytes.split_at_checked(length).ok_or(DecodeError::Ends { part })?;
    *bytes = rest;
    Ok(taken)
}

fn limits(mut reader: Reader<'_>) -> Result<Vec<Limit>, DecodeError> {
    let mut limits = Vec::new();
    let mut known = HashSet::new();
    while !reader.is_empty() {
        let limit = limit(&mut reader)?;
        if !known.insert(limit) {
            return Err(DecodeError::refused("limits", format_args!("{} is there twice", limit.name())));
        }
        limits.push(limit);
    }
    Ok(limits)
}

/// Numbers whose bytes stand apart: the highest byte of each, then the next one of each.
struct Planes<'a> {
    bytes: &'a [u8],
    /// How many numbers there are.
    count: usize,
    /// The number that is read next.
    next: usize,
}

impl<'a> Planes<'a> {
    fn new(bytes: &'a [u8], width: usize) -> Result<Self, DecodeError> {
        if !bytes.len().is_multiple_of(width) {
            return Err(DecodeError::refused("columns", format_args!("one is not of {width} bytes each")));
        }
        Ok(Self { bytes, count: bytes.len() / width, next: 0 })
    }

    /// The number at `at`, which is below `count`.
    #[inline]
    fn word(&self, at: usize) -> u128 {
        let planes = self.bytes.chunks_exact(self.count);
        planes.fold(0, |word, plane| (word << 8) | u128::from(plane[at]))
    }

    #[inline]
    fn next(&mut self, part: &'static str) -> Result<u128, DecodeError> {
        if self.next == self.count {
            return Err(DecodeError::Ends { part });
        }
        let word = self.word(self.next);
        self.next += 1;
        Ok(word)
    }
}
