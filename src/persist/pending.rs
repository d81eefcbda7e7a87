//! Batches on their way from the flusher to the applier: in memory while they are few, else only in the outbox.
//!
//! Invariant: what was pushed is taken in the order of the numbers, each batch once: first what lies here, then, if batches were left to
//! the outbox, those; the queue is used again only when nothing is there that was not read.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::Batch;

/// Bytes of batches held in memory, about; more wait in the outbox alone. As much as a truth takes in a second.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// What waits is merged to make room unless its first batch has more bytes than this: else each further batch would have all merged again.
const MOST_MERGED_BYTES: usize = MOST_BYTES / 2;

/// Rows of the batches that are merged into one transaction when several wait: mostly the same keys are in many of them, so that it has
/// far fewer; at the worst it is some seconds of work of a truth. More than [`MOST_BYTES`] of small records have, or what waits would
/// become more with every transaction.
pub(super) const MOST_MERGED_ROWS: usize = 1_000_000;

/// The queue.
#[derive(Default)]
pub struct Pending {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(Batch, usize)>,
    bytes: usize,
    /// The number of the last batch that was pushed.
    newest: u64,
    /// Batches behind those that lie here are only in the outbox.
    is_spilled: bool,
    /// No more batches come.
    is_closed: bool,
}

impl State {
    /// Makes room: batches that wait have mostly changed the same keys.
    fn merge(&mut self) {
        let batches = std::mem::take(&mut self.batches);
        if let Some(merged) = Batch::merge_all(batches.into_iter().map(|(batch, _)| batch)) {
            let bytes = merged.weight();
            self.bytes = bytes;
            self.batches.push_back((merged, bytes));
        }
    }
}

/// What is to be applied next.
#[derive(Debug)]
pub enum Next {
    /// This: one batch or several that were merged.
    Batch(Batch),
    /// What is in the outbox.
    Spilled,
    /// Nothing: everything was taken, and nothing more comes.
    End,
}

impl Pending {
    /// Adds a batch. One that `is_kept` in the outbox may be left to it.
    pub fn push(&self, batch: Batch, is_kept: bool) {
        let bytes = batch.weight();
        let mut state = self.state.lock();
        state.newest = batch.seq;
        let is_small = |(_, bytes): &(Batch, usize)| *bytes <= MOST_MERGED_BYTES;
        if !state.is_spilled
            && state.bytes + bytes > MOST_BYTES
            && state.batches.front().is_some_and(is_small)
        {
            state.merge();
        }
        if is_kept && (state.is_spilled || state.bytes + bytes > MOST_BYTES) {
            state.is_spilled = true;
        } else {
            state.bytes += bytes;
            state.batches.push_back((batch, bytes));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Whether nothing waits.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.batches.is_empty() && !state.is_spilled
    }

    /// Says that no more batches come.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Takes what waits, merged up to a limit; `None`: nothing waits yet.
    fn take(&self) -> Option<Next> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let mut rows = 0;
        while let Some((batch, bytes)) = state.batches.pop_front() {
            rows += batch.records.len();
            if !taken.is_empty() && rows > MOST_MERGED_ROWS {
                state.batches.push_front((batch, bytes));
                break;
            }
            state.bytes -= bytes;
            taken.push(batch);
        }
        if !taken.is_empty() {
            drop(state);
            return Batch::merge_all(taken).map(Next::Batch);
        }
        match (state.is_spilled, state.is_closed) {
            (true, _) => Some(Next::Spilled),
            (false, true) => Some(Next::End),
            (false, false) => None,
        }
    }

    /// What is to be applied next, as soon as there is anything. One caller at a time.
    pub async fn next(&self) -> Next {
        loop {
            let changed = self.changed.notified();
            match self.take() {
                Some(next) => return next,
                None => changed.await,
            }
        }
    }

    /// What waits already, to be merged behind a batch of `rows` rows that could not be applied yet.
    pub fn take_more(&self, rows: usize) -> Option<Batch> {
        if rows >= MOST_MERGED_ROWS {
            return None;
        }
        match self.take() {
            Some(Next::Batch(batch)) => Some(batch),
            _ => None,
        }
    }

    /// Says that the outbox was read up to batch `read`; whether that was all, so that the queue is used again.
    pub fn rejoin(&self, read: u64) -> bool {
        let mut state = self.state.lock();
        if state.newest == read {
            state.is_spilled = false;
        }
        !state.is_spilled
    }

    /// Forgets what lies here, since the outbox is read from an earlier batch on.
    pub fn leave_to_outbox(&self) {
        let mut state = self.state.lock();
        state.batches.clear();
        state.bytes = 0;
        state.is_spilled = true;
        drop(state);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Expiry;
    use crate::engine::value::{Content, Text};
    use crate::persist::contract::{batch, put, record};
    use crate::persist::record::StoredValue;

    fn taken(pending: &Pending) -> Option<(u64, u64)> {
        match pending.take() {
            Some(Next::Batch(batch)) => Some((batch.first_seq, batch.seq)),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn large(seq: u64, key: &str) -> Batch {
        let content = Content::Text(Text::new(&vec![b'x'; MOST_MERGED_BYTES - 1_000]));
        batch(1, seq, vec![record(key, Some(StoredValue { content, expiry: Expiry::NEVER }))])
    }

    #[test]
    fn batches_that_wait_are_merged() {
        let pending = Pending::default();
        assert!(taken(&pending).is_none());
        (1..=3).for_each(|seq| pending.push(batch(1, seq, vec![put("a", 1)]), true));
        assert_eq!(taken(&pending), Some((1, 3)));
        assert!(pending.is_empty());
        pending.close();
        assert!(matches!(pending.take(), Some(Next::End)));
    }

    #[test]
    fn too_many_rows_are_not_merged() {
        let pending = Pending::default();
        let rows = |count: usize| (0..count).map(|at| put(format!("{at:06}"), 1)).collect::<Vec<_>>();
        pending.push(batch(1, 1, rows(MOST_MERGED_ROWS - 1)), false);
        pending.push(batch(1, 2, rows(1)), false);
        pending.push(batch(1, 3, rows(MOST_MERGED_ROWS + 1)), false);
        assert_eq!(taken(&pending), Some((1, 2)));
        assert_eq!(taken(&pending), Some((3, 3)));
    }

    #[test]
    fn what_has_no_room_is_left_to_the_outbox_and_the_queue_is_joined_again() {
        let pending = Pending::default();
        pending.push(large(1, "a"), true);
        pending.push(large(2, "b"), true);
        pending.push(large(3, "c"), true);
        assert_eq!(taken(&pending), Some((1, 2)));
        assert!(matches!(pending.take(), Some(Next::Spilled)));
        pending.push(batch(1, 4, Vec::new()), true);
        assert!(!pending.rejoin(3));
        assert!(matches!(pending.take(), Some(Next::Spilled)));
        assert!(pending.rejoin(4));
        pending.push(batch(1, 5, Vec::new()), true);
        assert_eq!(taken(&pending), Some((5, 5)));
    }

    #[test]
    fn what_changes_again_and_again_needs_no_more_room() {
        let pending = Pending::default();
        (1..=20).for_each(|seq| pending.push(large(seq, "a"), true));
        assert_eq!(taken(&pending), Some((1, 20)));
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_not_on_disk_stays_in_memory() {
        let pending = Pending::default();
        pending.push(large(1, "a"), false);
        pending.push(large(2, "b"), false);
        pending.push(large(3, "c"), false);
        assert_eq!(taken(&pending), Some((1, 3)));
    }
}
