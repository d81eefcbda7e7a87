//! Merging: the state behind several batches, so that a long outage of the truth is caught up with in few transactions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Batch, ClosedPeriod};
use crate::clock::Timestamp;
use crate::persist::record::{Record, StoredValue};

/// What the keys of one database became. Keys come from users, who must not be able to make them meet: hashes have a seed.
type LastValues = HashMap<Box<[u8]>, Option<StoredValue>, foldhash::fast::RandomState>;

impl Batch {
    /// The state behind this batch and the `later` one, which has the next number: the last state of each key, without what
    /// the later one's flushes have killed.
    ///
    /// # Panics
    /// When `later` is not the next one: what is between would be lost.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        Self::merge_all([self, later]).expect("two batches are merged into one")
    }

    /// The state behind all of `batches`, each of which has the next number; `None` of none. Takes each record once and keeps
    /// no more than the last state of each key.
    ///
    /// # Panics
    /// When a number is missing between two of them: what is between would be lost.
    #[must_use]
    pub fn merge_all(batches: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut batches = batches.into_iter();
        let first = batches.next()?;
        let Some(second) = batches.next() else { return Some(first) };
        let mut merge = Merge { first_seq: first.first_seq, ..Merge::default() };
        merge.add(first);
        for later in std::iter::once(second).chain(batches) {
            let Merge { seq, .. } = merge;
            assert_eq!(
                seq.checked_add(1),
                Some(later.first_seq),
                "the batch behind {seq} is not the next one"
            );
            merge.add(later);
        }
        Some(merge.into_batch())
    }
}

/// Several batches on their way to be one.
#[derive(Default)]
struct Merge {
    epoch: u64,
    first_seq: u64,
    seq: u64,
    cut_at: Timestamp,
    flushed_databases: BTreeSet<u8>,
    databases: BTreeMap<u8, LastValues>,
    closed_periods: Vec<ClosedPeriod>,
}

impl Merge {
    fn add(&mut self, later: Batch) {
        let Batch { epoch, first_seq: _, seq, cut_at, flushed_databases, records, closed_periods } = later;
        (self.epoch, self.seq, self.cut_at) = (epoch, seq, cut_at);
        for database in &flushed_databases {
            // A flush comes before the records of its batch. Whatever else the truth has of the database dies by its mark.
            self.databases.remove(database);
        }
        self.flushed_databases.extend(flushed_databases);
        for Record { database, key, value } in records {
            self.databases.entry(database).or_default().insert(key, value);
        }
        self.closed_periods.extend(closed_periods);
    }

    fn into_batch(self) -> Batch {
        let records = self.databases.into_iter().flat_map(|(database, values)| {
            values.into_iter().map(move |(key, value)| Record { database, key, value })
        });
        let mut batch = Batch {
            epoch: self.epoch,
            first_seq: self.first_seq,
            seq: self.seq,
            cut_at: self.cut_at,
            flushed_databases: self.flushed_databases.into_iter().collect(),
            records: records.collect(),
            closed_periods: self.closed_periods,
        };
        batch.sort();
        batch
    }
}

#[cfg(test)]
mod tests;
