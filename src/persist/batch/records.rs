//! The records of a batch, each in its durable form, one behind the other.
//!
//! A batch is written to a disk and merged with others far more often than its values are looked at, so it holds what is written: no record
//! has memory of its own, to sort and to merge is to copy bytes, and to append a batch to the outbox is to copy all of them.
//!
//! Invariant: the bytes are records as [`push`](Records::push) writes them, or as [`decode`](Records::decode) has checked them. Every value
//! has one form, so equal bytes are equal records.

use std::fmt;

use super::super::bytes::{DecodeError, Reader, put_bytes, put_length, put_number, put_sized};
use super::super::content::{decode, encode, kind_of};
use super::super::record::{Record, StoredValue};
use super::check_database;
use crate::engine::Expiry;
use crate::engine::value::{Content, Kind};

/// The fewest bytes of a record: its database, an empty key, no value.
pub(super) const LEAST_RECORD_BYTES: usize = 3;

const VALID: &str = "records are checked when they come in";

/// Records in their durable form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Records {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
}

/// One of them.
#[derive(Clone, Copy)]
pub struct PackedRecord<'a> {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: &'a [u8],
    /// The durable form of the value; none: the key was deleted.
    state: &'a [u8],
    /// When the key ends.
    pub expiry: Expiry,
    /// All of the record.
    pub(super) form: &'a [u8],
}

impl Records {
    /// Room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Appends a record; without a value it tells that the key was deleted.
    pub fn push(&mut self, database: u8, key: &[u8], value: Option<(&Content, Expiry)>) {
        let out = &mut self.bytes;
        self.count += 1;
        out.push(database);
        put_bytes(out, key);
        let Some((content, expiry)) = value else {
            // No content is of no bytes.
            return put_length(out, 0);
        };
        let scratch = &mut Vec::with_capacity(64);
        put_sized(out, scratch, |out| encode(content, out));
        put_number(out, expiry.as_millis().unwrap_or(0));
    }

    /// Appends a record as it is.
    #[inline]
    pub(super) fn push_form(&mut self, form: &[u8]) {
        self.bytes.extend_from_slice(form);
        self.count += 1;
    }

    /// Forgets all records, and keeps the room they had.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Makes room for so many bytes at once.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Forgets all records, and gives up the room for more than so many bytes.
    pub fn shrink(&mut self, most: usize) {
        self.clear();
        self.bytes.shrink_to(most);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of all of them.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// One after the other.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { reader: Reader::new(&self.bytes) }
    }

    /// Those from the one on that begins at this byte.
    pub(super) fn iter_at(&self, start: usize) -> Iter<'_> {
        Iter { reader: Reader::new(&self.bytes[start..]) }
    }

    /// Whether they are in the order of their places, each key once.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.iter().is_sorted_by(|one, next| one.place() < next.place())
    }

    /// Reads so many records.
    pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Self, DecodeError> {
        let begin = reader.left();
        for _ in 0..count {
            let record = PackedRecord::read(reader)?;
            if !record.state.is_empty() {
                decode(record.state)?;
            }
        }
        let length = begin.len() - reader.left().len();
        Ok(Self { bytes: begin[..length].to_vec(), count })
    }
}

impl<'a> PackedRecord<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let begin = reader.left();
        let database = reader.byte("database")?;
        check_database(database)?;
        let key = reader.bytes("key")?;
        let state = reader.bytes("value")?;
        let millis = if state.is_empty() { 0 } else { reader.number("expiry")? };
        let expiry = if millis == 0 { Expiry::NEVER } else { Expiry::at_millis(millis) };
        let form = &begin[..begin.len() - reader.left().len()];
        Ok(Self { database, key, state, expiry, form })
    }

    /// What records are ordered by: each is in a batch once.
    #[must_use]
    pub const fn place(&self) -> (u8, &'a [u8]) {
        (self.database, self.key)
    }

    /// The durable form of the value; `None`: the key was deleted.
    #[must_use]
    pub fn state(&self) -> Option<&'a [u8]> {
        (!self.state.is_empty()).then_some(self.state)
    }

    /// The type of the value, which need not be read for it.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.state().map(|state| kind_of(state).expect(VALID))
    }

    /// The value.
    #[must_use]
    pub fn content(&self) -> Option<Content> {
        self.state().map(|state| decode(state).expect(VALID))
    }

    /// As a record with memory of its own.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let value = self.content().map(|content| StoredValue { content, expiry: self.expiry });
        Record { database: self.database, key: self.key.into(), value }
    }
}

/// Records one after the other.
pub struct Iter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = PackedRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        (!self.reader.is_empty()).then(|| PackedRecord::read(&mut self.reader).expect(VALID))
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = PackedRecord<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> FromIterator<&'a Record> for Records {
    fn from_iter<I: IntoIterator<Item = &'a Record>>(records: I) -> Self {
        let mut packed = Self::default();
        for record in records {
            let value = record.value.as_ref().map(|value| (&value.content, value.expiry));
            packed.push(record.database, &record.key, value);
        }
        packed
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        records.iter().collect()
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(|record| record.to_record())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::value::Text;

    #[test]
    fn records_are_told_as_they_were_put() {
        let mut records = Records::default();
        records.push(3, b"text", Some((&Content::Text(Text::new(b"value")), Expiry::at_millis(300))));
        records.push(0, b"", None);
        records.push(0, b"count", Some((&Content::Integer(-1), Expiry::NEVER)));
        assert_eq!((records.len(), records.is_empty(), records.is_sorted()), (3, false, false));
        let told: Vec<_> =
            records.iter().map(|record| (record.place(), record.kind(), record.expiry)).collect();
        let expected = [
            ((3, &b"text"[..]), Some(Kind::String), Expiry::at_millis(300)),
            ((0, b""), None, Expiry::NEVER),
            ((0, b"count"), Some(Kind::String), Expiry::NEVER),
        ];
        assert_eq!(told, expected);
        let owned: Vec<Record> = records.iter().map(|record| record.to_record()).collect();
        assert_eq!(owned.iter().collect::<Records>(), records);
        let forms: usize = records.iter().map(|record| record.form.len()).sum();
        assert_eq!(forms, records.byte_len());
    }

    #[test]
    fn room_is_kept_up_to_a_limit() {
        let mut records = Records::with_capacity(1_000);
        records.push(0, b"key", None);
        records.shrink(1_000);
        assert!(records.is_empty() && records.bytes.capacity() >= 1_000);
        records.shrink(100);
        assert!((100..1_000).contains(&records.bytes.capacity()));
        records.reserve(2_000);
        assert!(records.bytes.capacity() >= 2_000);
    }
}
