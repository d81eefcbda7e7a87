//! Batches on their way from the flusher to the applier: in memory while they are few, else only in the outbox.
//!
//! Invariant: what was pushed is taken in the order of the numbers, each batch once: first what lies here, then, if batches were left to
//! the outbox, those; the queue is used again only when nothing is there that was not read. While a few are being merged nothing is taken.
//! What no disk took lies behind all of these, since nothing more is cut until it is kept, and is never left to the outbox.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::Batch;
use super::outbox::{OutboxError, Stored};

/// Bytes of batches held in memory, about; more wait in the outbox alone. As much as a truth takes in a second.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Bytes behind which what waits is merged while the truth takes what came before: mostly the same keys are in many of the batches.
const CROWDED_BYTES: usize = MOST_BYTES / 2;

/// The bytes behind the first batch, as a share of its own, below which merging is put off: it would move those of the first each time.
const LEAST_MERGED_SHARE: usize = 2;

/// Rows of the batches that are merged into one transaction when several wait: mostly the same keys are in many of them, so that it has
/// far fewer; at the worst it is some seconds of work of a truth. More than [`MOST_BYTES`] of small records have, or what waits would
/// become more with every transaction.
pub(super) const MOST_MERGED_ROWS: usize = 1_000_000;

/// Their bytes, about: where values are large, a transaction of all that an outage has left would take minutes, and be begun anew if it
/// is cut off. Several times [`MOST_BYTES`], of which one transaction takes all.
pub(super) const MOST_MERGED_BYTES: usize = 4 * MOST_BYTES;

/// The next batches of an outbox, merged up to the limits of a transaction; `None`: there are none.
pub(super) fn next_merged(
    batches: impl Iterator<Item = Result<Stored, OutboxError>>,
) -> Result<Option<Batch>, OutboxError> {
    let (mut rows, mut bytes) = (0, 0);
    let mut taken: Vec<Batch> = Vec::new();
    for batch in batches {
        let batch = match batch {
            Ok(stored) => stored.batch,
            // What was read before it is there.
            Err(_) if !taken.is_empty() => break,
            Err(error) => return Err(error),
        };
        rows += batch.records.len();
        bytes += batch.weight();
        // A compaction that ends meanwhile puts a batch in the place of several, of which some were read: it has all of those.
        while taken.last().is_some_and(|last| last.seq >= batch.first_seq) {
            taken.pop();
        }
        taken.push(batch);
        if rows >= MOST_MERGED_ROWS || bytes >= MOST_MERGED_BYTES {
            break;
        }
    }
    Ok(Batch::merge_all(taken))
}

/// The queue.
#[derive(Default)]
pub struct Pending {
    state: Mutex<State>,
    changed: Notify,
    crowded: Notify,
    pressing: Notify,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(Batch, usize)>,
    bytes: usize,
    /// What is on no disk, behind all others.
    unkept: VecDeque<Batch>,
    /// The number of the last batch that is in the outbox.
    newest: u64,
    /// Batches behind those that lie here are only in the outbox.
    is_spilled: bool,
    /// No more batches come.
    is_closed: bool,
    /// The first batches are being merged, and are put back in front.
    is_merging: bool,
    /// How often everything was forgotten.
    forgotten: u64,
    /// The truth seems to have lost batches.
    looks_back: bool,
}

/// What is taken out to be merged.
struct Waiting {
    batches: VecDeque<(Batch, usize)>,
    bytes: usize,
    /// As it was then.
    forgotten: u64,
}

impl State {
    /// Adds a batch that is in the outbox, which it may be left to.
    fn add(&mut self, batch: Batch) {
        let bytes = batch.weight();
        self.newest = batch.seq;
        // One alone lies here however large it is: it is taken soon.
        let has_room = self.bytes == 0 || self.bytes + bytes <= MOST_BYTES;
        if self.is_spilled || !has_room {
            self.is_spilled = true;
        } else {
            self.bytes += bytes;
            self.batches.push_back((batch, bytes));
        }
    }

    /// Takes the batch that is next, unless it has more than so many rows or bytes, or lies only in the outbox.
    fn next(&mut self, rows: usize, bytes: usize) -> Option<Batch> {
        let fits = |batch: &Batch| batch.records.len() <= rows && batch.weight() <= bytes;
        if let Some((batch, _)) = self.batches.front() {
            if !fits(batch) {
                return None;
            }
            let (batch, bytes) = self.batches.pop_front()?;
            self.bytes -= bytes;
            return Some(batch);
        }
        if self.is_spilled || !self.unkept.front().is_some_and(fits) {
            return None;
        }
        self.unkept.pop_front()
    }

    /// Whether the next is to be taken at once.
    fn is_pressing(&self) -> bool {
        self.is_closed || self.looks_back || self.is_spilled || !self.unkept.is_empty()
    }

    fn is_crowded(&self) -> bool {
        let first = self.batches.front().map_or(0, |(_, bytes)| *bytes);
        let behind = self.bytes.saturating_sub(first);
        !self.is_merging && self.bytes > CROWDED_BYTES && behind >= first / LEAST_MERGED_SHARE
    }
}

/// What is to be applied next.
#[derive(Debug)]
pub enum Next {
    /// This: one batch or several that were merged.
    Batch(Batch),
    /// What is in the outbox.
    Spilled,
    /// What the truth may have lost.
    Lost,
    /// Nothing: everything was taken, and nothing more comes.
    End,
}

impl Pending {
    /// Adds a batch. One that `is_kept` in the outbox may be left to it.
    pub fn push(&self, batch: Batch, is_kept: bool) {
        let mut state = self.state.lock();
        // Nothing goes before one that is on no disk.
        if is_kept && state.unkept.is_empty() {
            state.add(batch)
        } else {
            state.unkept.push_back(batch)
        }
        if state.is_crowded() {
            self.crowded.notify_one();
        }
        if state.is_pressing() {
            self.pressing.notify_one();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Says that what was pushed as on no disk, up to batch `seq`, is in the outbox by now; it may have been taken.
    pub fn note_kept(&self, seq: u64) {
        let mut state = self.state.lock();
        while state.unkept.front().is_some_and(|batch| batch.seq <= seq) {
            let batch = state.unkept.pop_front().expect("it was looked at");
            state.add(batch);
        }
        // What was taken meanwhile may come back from the outbox, should the truth lose it.
        state.newest = state.newest.max(seq);
        drop(state);
        self.changed.notify_one();
    }

    /// Merges what waits whenever it is much, for as long as it is polled; one caller.
    pub async fn keep_merged(&self) {
        loop {
            self.crowded.notified().await;
            self.merge_waiting().await;
        }
    }

    async fn merge_waiting(&self) {
        let Some(Waiting { batches, bytes, forgotten }) = self.begin_merging() else { return };
        // That takes some milliseconds for each batch, for which others on this runtime need not wait.
        let merge = || Batch::merge_all(batches.into_iter().map(|(batch, _)| batch));
        let merged = tokio::task::spawn_blocking(merge).await.ok().flatten();
        self.end_merging(merged.expect("several batches are merged into one"), bytes, forgotten);
    }

    /// Puts back what was taken out of so many bytes, unless everything was forgotten since.
    fn end_merging(&self, merged: Batch, bytes: usize, forgotten: u64) {
        let mut state = self.state.lock();
        state.is_merging = false;
        if state.forgotten == forgotten {
            let merged_bytes = merged.weight();
            state.bytes = state.bytes - bytes + merged_bytes;
            state.batches.push_front((merged, merged_bytes));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn begin_merging(&self) -> Option<Waiting> {
        let mut state = self.state.lock();
        if !state.is_crowded() {
            return None;
        }
        state.is_merging = true;
        let batches = std::mem::take(&mut state.batches);
        Some(Waiting { batches, bytes: state.bytes, forgotten: state.forgotten })
    }

    /// Whether nothing waits.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.batches.is_empty() && state.unkept.is_empty() && !state.is_spilled && !state.is_merging
    }

    /// Says that the truth seems to have lost batches that it had committed.
    pub fn look_back(&self) {
        self.state.lock().looks_back = true;
        self.changed.notify_one();
        self.pressing.notify_one();
    }

    /// Says that no more batches come.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
        self.pressing.notify_one();
    }

    /// Waits until the next batch is not to be put off: it is on no disk, others are left to the outbox, the truth may have lost some, or
    /// no more come. One caller.
    pub async fn wait_pressing(&self) {
        loop {
            let pressing = self.pressing.notified();
            if self.state.lock().is_pressing() {
                return;
            }
            pressing.await;
        }
    }

    /// Takes what waits, merged up to a limit; `None`: nothing waits yet.
    fn take(&self) -> Option<Next> {
        let mut state = self.state.lock();
        if state.is_merging {
            return None;
        }
        if std::mem::take(&mut state.looks_back) {
            return Some(Next::Lost);
        }
        // The first one is taken however large it is.
        let mut taken = Vec::from_iter(state.next(usize::MAX, usize::MAX));
        let (mut rows, mut bytes) = (0, 0);
        while let Some(last) = taken.last() {
            rows += last.records.len();
            bytes += last.weight();
            let room = (MOST_MERGED_ROWS.saturating_sub(rows), MOST_MERGED_BYTES.saturating_sub(bytes));
            match state.next(room.0, room.1) {
                Some(batch) => taken.push(batch),
                None => break,
            }
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

    /// What waits already, to be merged behind a batch that could not be applied yet.
    pub fn take_more(&self, behind: &Batch) -> Option<Batch> {
        if behind.records.len() >= MOST_MERGED_ROWS || behind.weight() >= MOST_MERGED_BYTES {
            return None;
        }
        match self.take() {
            Some(Next::Batch(batch)) => Some(batch),
            // A batch finds out by itself that there is a gap before it.
            _ => None,
        }
    }

    /// Says that the outbox was read up to batch `read`; whether that was all, so that the queue is used again. One that is read before
    /// it is pushed is taken again then, which is harmless.
    pub fn rejoin(&self, read: u64) -> bool {
        let mut state = self.state.lock();
        if state.newest <= read {
            state.is_spilled = false;
        }
        !state.is_spilled
    }

    /// Forgets what lies here and is in the outbox too, since the outbox is read from an earlier batch on.
    pub fn leave_to_outbox(&self) {
        let mut state = self.state.lock();
        state.batches.clear();
        state.bytes = 0;
        state.forgotten += 1;
        state.is_spilled = true;
        drop(state);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
