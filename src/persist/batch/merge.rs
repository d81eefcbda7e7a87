//! Merging: the state behind several batches, so that a long outage of the truth is caught up with in few transactions.

use std::collections::BTreeSet;

use super::Batch;
use super::records::Records;

/// A batch waits for its merging while the one before it has more than so many times its rows: few small ones behind a large one do not
/// move all of its records each time, and all that wait are at most as many rows again as the first has.
const SIZE_RATIO: usize = 2;

impl Batch {
    /// The state behind this batch and the `later` one, which has the next number: the last state of each key, without what
    /// the later one's flushes have killed.
    ///
    /// # Panics
    /// When `later` is not the next one: what is between would be lost.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        assert_eq!(
            self.seq.checked_add(1),
            Some(later.first_seq),
            "the batch behind {} is not the next one",
            self.seq
        );
        debug_assert!(self.is_sorted() && later.is_sorted(), "batches are made in order");
        // A flush comes before the records of its batch. Whatever else the truth has of the database dies by its mark.
        let records = merged(&self.records, &later.records, &later.flushed_databases);
        let flushed = BTreeSet::from_iter(self.flushed_databases.into_iter().chain(later.flushed_databases));
        let mut closed_periods = self.closed_periods;
        closed_periods.extend(later.closed_periods);
        Self {
            epoch: later.epoch,
            first_seq: self.first_seq,
            seq: later.seq,
            cut_at: later.cut_at,
            flushed_databases: flushed.into_iter().collect(),
            records,
            closed_periods,
        }
    }

    /// The state behind all of `batches`, each of which has the next number; `None` of none. They are taken one by one, and no more than
    /// twice the rows of the result, and the batch at hand, are held at a time.
    ///
    /// # Panics
    /// When a number is missing between two of them: what is between would be lost.
    #[must_use]
    pub fn merge_all(batches: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut waiting: Vec<Self> = Vec::new();
        for mut batch in batches {
            while let Some(before) =
                waiting.pop_if(|before| before.records.len() <= SIZE_RATIO * batch.records.len())
            {
                batch = before.merge(batch);
            }
            waiting.push(batch);
        }
        waiting.into_iter().rev().reduce(|later, before| before.merge(later))
    }
}

/// The records of both in their order; of a key that is in both, the later one's, and of flushed databases only later ones.
fn merged(earlier: &Records, later: &Records, flushed: &[u8]) -> Records {
    let mut merged = Records::with_capacity(earlier.byte_len().max(later.byte_len()));
    let mut earlier = earlier.iter().filter(|record| !flushed.contains(&record.database)).peekable();
    for record in later {
        while let Some(before) = earlier.next_if(|before| before.place() < record.place()) {
            merged.push_form(before.form);
        }
        // Overtaken.
        let _ = earlier.next_if(|before| before.place() == record.place());
        merged.push_form(record.form);
    }
    earlier.for_each(|record| merged.push_form(record.form));
    merged
}

#[cfg(test)]
mod tests;
