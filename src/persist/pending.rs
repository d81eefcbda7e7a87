//! Batches on their way from the flusher to the applier: in memory while they are few, else only in the outbox.
//!
//! Invariant: what was pushed is taken in the order of the numbers, each batch once: first what lies here, then, if batches were left to
//! the outbox, those; the queue is used again only when nothing is there that was not read. While a few are being merged nothing is taken.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::Batch;

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
    /// The number of the last batch that was pushed.
    newest: u64,
    /// Batches behind those that lie here are only in the outbox.
    is_spilled: bool,
    /// No more batches come.
    is_closed: bool,
    /// A batch that lies here is on no disk.
    has_unkept: bool,
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
    /// Whether the next is to be taken at once.
    fn is_pressing(&self) -> bool {
        self.is_closed || self.looks_back || self.is_spilled || self.has_unkept
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
        let bytes = batch.weight();
        let mut state = self.state.lock();
        state.newest = batch.seq;
        // One alone lies here however large it is: it is taken soon.
        let has_room = state.bytes == 0 || state.bytes + bytes <= MOST_BYTES;
        if is_kept && (state.is_spilled || !has_room) {
            state.is_spilled = true;
        } else {
            state.has_unkept |= !is_kept;
            state.bytes += bytes;
            state.batches.push_back((batch, bytes));
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
        let merged = merged.expect("several batches are merged into one");
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
        state.batches.is_empty() && !state.is_spilled && !state.is_merging
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
            state.has_unkept &= !state.batches.is_empty();
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
            // A batch finds out by itself that there is a gap before it.
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
        state.has_unkept = false;
        state.bytes = 0;
        state.forgotten += 1;
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

    /// Three fit, and two are not crowded.
    fn large(seq: u64, key: &str) -> Batch {
        let content = Content::Text(Text::new(&vec![b'x'; CROWDED_BYTES / 2 - 1_000]));
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

    #[tokio::test]
    async fn what_is_not_to_be_put_off_is_told() {
        let pending = Pending::default();
        let check = async |press: &dyn Fn()| {
            let pressing = async { press() };
            tokio::join!(biased; pending.wait_pressing(), pressing);
            pending.wait_pressing().await;
        };
        check(&|| pending.push(batch(1, 1, vec![put("a", 1)]), false)).await;
        pending.push(batch(1, 2, vec![put("a", 1)]), true);
        assert!(taken(&pending).is_some() && !pending.state.lock().is_pressing());
        check(&|| pending.look_back()).await;
        assert!(matches!(pending.take(), Some(Next::Lost)));
        check(&|| (3..=8).for_each(|seq| pending.push(large(seq, &seq.to_string()), true))).await;
        pending.leave_to_outbox();
        assert!(pending.rejoin(8) && !pending.state.lock().is_pressing());
        check(&|| pending.close()).await;
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
        for (seq, key) in (1..).zip(["a", "b", "c", "d", "e"]) {
            pending.push(large(seq, key), true);
        }
        assert_eq!(taken(&pending), Some((1, 4)));
        assert!(matches!(pending.take(), Some(Next::Spilled)));
        pending.push(batch(1, 6, Vec::new()), true);
        assert!(!pending.rejoin(5));
        assert!(matches!(pending.take(), Some(Next::Spilled)));
        assert!(pending.rejoin(6));
        pending.push(batch(1, 7, Vec::new()), true);
        assert_eq!(taken(&pending), Some((7, 7)));
    }

    #[test]
    fn what_is_not_on_disk_stays_in_memory() {
        let pending = Pending::default();
        (1..=6).for_each(|seq| pending.push(large(seq, &seq.to_string()), false));
        assert_eq!(taken(&pending), Some((1, 6)));
    }

    #[tokio::test]
    async fn what_changes_again_and_again_needs_no_more_room() {
        let pending = Pending::default();
        for seq in 1..=20 {
            pending.push(large(seq, "a"), true);
            pending.merge_waiting().await;
        }
        assert_eq!(taken(&pending), Some((1, 20)));
        assert!(pending.is_empty());
        assert_eq!(pending.state.lock().bytes, 0);
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_is_merged_stays_so() {
        let pending = Pending::default();
        (1..=3).for_each(|seq| pending.push(large(seq, "a"), true));
        let merging = pending.merge_waiting();
        let forgetting = async {
            // Taken out by now, and nothing is taken meanwhile.
            assert!(pending.take().is_none());
            pending.leave_to_outbox();
        };
        tokio::join!(biased; merging, forgetting);
        assert!(matches!(pending.take(), Some(Next::Spilled)));
        assert!(pending.rejoin(3) && pending.is_empty());
    }

    /// Pushed, merged and taken by three at once.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn each_batch_is_taken_once_in_its_order() {
        const BATCHES: u64 = 400;
        let pending = std::sync::Arc::new(Pending::default());
        let keeper = std::sync::Arc::clone(&pending);
        let merging = tokio::spawn(async move { keeper.keep_merged().await });
        let pusher = std::sync::Arc::clone(&pending);
        let pushing = tokio::spawn(async move {
            for seq in 1..=BATCHES {
                pusher.push(large(seq, if seq % 3 == 0 { "a" } else { "b" }), false);
                tokio::task::yield_now().await;
            }
            pusher.close();
        });
        let mut last = 0;
        while let Next::Batch(batch) = pending.next().await {
            assert_eq!(batch.first_seq, last + 1);
            last = batch.seq;
        }
        assert_eq!(last, BATCHES);
        pushing.await.unwrap();
        merging.abort();
    }
}
