//! A batch: what was changed up to one cut, on its way to the truth.

mod merge;
mod order;
mod records;

use self::records::LEAST_RECORD_BYTES;
pub use self::records::{Iter as RecordsIter, PackedRecord, Records};
use super::bytes::{DecodeError, Reader, put_bytes, put_length, put_number};
use super::limit::{LEAST_LIMIT_BYTES, limit, put_limit};
use crate::clock::Timestamp;
use crate::engine::{ClosedBudget, DATABASES};
use crate::quota::Limit;

/// The version that is written.
const VERSION: u8 = 1;

/// The fewest bytes of a closed period: database, empty subject, limit, start, length, used.
const LEAST_CLOSED_BYTES: usize = LEAST_LIMIT_BYTES + 5;

/// The state between two turns, as far as it was changed since the batch before; or several such, one after the other,
/// [merged](Batch::merge_all) into the state behind the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The epoch it was made in.
    pub epoch: u64,
    /// The first number it covers: its own, or that of the first batch that was merged into it.
    pub first_seq: u64,
    /// Its number; each batch has the next one, also across epochs.
    pub seq: u64,
    /// When it was cut: the time for which readable figures are told.
    pub cut_at: Timestamp,
    /// The databases that were flushed since the batch before; what they held earlier is dead, the records of this batch
    /// came after.
    pub flushed_databases: Vec<u8>,
    /// What was changed, in the order of (database, key), each key once.
    pub records: Records,
    /// The calendar periods that were closed.
    pub closed_periods: Vec<ClosedPeriod>,
}

/// The final figure of a budget's calendar period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedPeriod {
    /// The database of the subject.
    pub database: u8,
    /// Whose period it was.
    pub subject: Box<[u8]>,
    /// The budget, with the maximum it had at the end.
    pub limit: Limit,
    /// When the period began.
    pub start: Timestamp,
    /// When it ended; not before `start`.
    pub end: Timestamp,
    /// What was used of it.
    pub used: u64,
}

impl From<ClosedBudget> for ClosedPeriod {
    fn from(closed: ClosedBudget) -> Self {
        let ClosedBudget { database, subject, limit, start, end, used } = closed;
        Self { database, subject, limit, start, end, used }
    }
}

impl Batch {
    /// Bytes that it holds in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.records.byte_len() + self.closed_periods.len() * size_of::<ClosedPeriod>()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flushed_databases.is_empty() && self.records.is_empty() && self.closed_periods.is_empty()
    }

    /// Puts the records in their order; each key must be there once.
    pub fn sort(&mut self) {
        self.records = self.records.sorted();
    }

    /// Whether the records are in their order, each key once: what a store relies on.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.records.is_sorted()
    }

    /// Appends the durable form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_number(out, self.epoch);
        put_number(out, self.first_seq);
        put_number(out, self.seq);
        put_number(out, self.cut_at.as_micros());
        put_bytes(out, &self.flushed_databases);
        put_length(out, self.records.len());
        out.extend_from_slice(&self.records.bytes);
        put_length(out, self.closed_periods.len());
        for closed in &self.closed_periods {
            out.push(closed.database);
            put_bytes(out, &closed.subject);
            put_limit(out, &closed.limit);
            put_number(out, closed.start.as_micros());
            put_number(out, closed.end.micros_since(closed.start));
            put_number(out, closed.used);
        }
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever [`encode`](Self::encode) does not write of a sorted batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(bytes);
        reader.version("batch", VERSION)?;
        let epoch = reader.number("epoch")?;
        let first_seq = reader.number("first number of the batch")?;
        let seq = reader.number("number of the batch")?;
        if first_seq > seq {
            return Err(DecodeError::refused(
                "number of the batch",
                "it is below the first one that is covered",
            ));
        }
        let cut_at = Timestamp::from_micros(reader.number("time of the cut")?);
        let flushed_databases = reader.bytes("flushed databases")?.to_vec();
        flushed_databases.iter().try_for_each(|&database| check_database(database))?;
        let count = reader.count("records", LEAST_RECORD_BYTES)?;
        let records = Records::decode(reader, count)?;
        let count = reader.count("closed periods", LEAST_CLOSED_BYTES)?;
        let closed_periods = (0..count).map(|_| closed_period(reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        let batch = Self { epoch, first_seq, seq, cut_at, flushed_databases, records, closed_periods };
        if !batch.is_sorted() {
            return Err(DecodeError::refused("records", "they are not in their order, each key once"));
        }
        Ok(batch)
    }
}

fn check_database(database: u8) -> Result<(), DecodeError> {
    if usize::from(database) < DATABASES {
        return Ok(());
    }
    Err(DecodeError::Unknown { part: "database", found: database.into() })
}

fn database(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let database = reader.byte("database")?;
    check_database(database)?;
    Ok(database)
}

fn closed_period(reader: &mut Reader<'_>) -> Result<ClosedPeriod, DecodeError> {
    let database = database(reader)?;
    let subject = reader.bytes("subject")?.into();
    let limit = limit(reader)?;
    let start = reader.number("start of a period")?;
    let length = reader.number("length of a period")?;
    let end = start
        .checked_add(length)
        .ok_or_else(|| DecodeError::refused("length of a period", "it ends behind the end of time"))?;
    let used = reader.number("use of a period")?;
    let (start, end) = (Timestamp::from_micros(start), Timestamp::from_micros(end));
    Ok(ClosedPeriod { database, subject, limit, start, end, used })
}

#[cfg(test)]
mod tests;
