//! The applier: writes batches to the truth, one transaction after the other, until each is committed.
//!
//! Invariant: an entry becomes clean only here, after the commit of its batch was answered or found in the owner row; a row the truth
//! refused is pinned before that. Whatever a store answers, the next step never skips a batch.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::batch::Batch;
use super::flush_stats::FlushStats;
use super::outbox::Outbox;
use super::pace::rest;
use super::pending::{Next, Pending, next_merged};
use super::progress::Progress;
use super::refusals::Refusals;
use super::signals::Signals;
use super::store::{Applied, Claim, Claimed, OwnerId, OwnerRow, RejectedRecord, Store, StoreError};
use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, Generation};
use crate::essential::Essential;
use crate::metrics::Seldom;

/// How long to wait before the truth is tried again: at first about as long as a commit takes, in the end often enough that an outage
/// that is over is noticed within seconds.
const BACKOFF: Backoff = Backoff::between(Duration::from_millis(20), Duration::from_secs(2));

/// Epochs that are taken at most to come back to one's own after the truth has lost some: it loses seconds, and a start takes one.
const MAX_RETAKEN_EPOCHS: u64 = 1_000;

/// How long to wait for what was read of the outbox before it was handed on.
const JOIN_PAUSE: Duration = Duration::from_millis(1);

/// What the applier works with.
pub struct Applier {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How far batches have come.
    pub progress: Arc<Progress>,
    /// Batches that wait.
    pub pending: Arc<Pending>,
    /// What wakes the flusher.
    pub signals: Arc<Signals>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// What the truth refused.
    pub refusals: Arc<Refusals>,
    /// The batches on disk.
    pub outbox: Option<Arc<Mutex<Outbox>>>,
    /// Who writes.
    pub owner: OwnerId,
    /// What a claim says, should the truth lose the epoch.
    pub claim: Claim,
    /// The generation of the first batch, and its number.
    pub first: (Generation, u64),
    /// The pace of the log's lines.
    pub lines: Seldom,
}

/// What one attempt came to.
enum Step {
    /// It is in the truth.
    Done,
    /// To be tried again after a pause.
    Again(String),
    /// The truth lacks batches behind this one.
    Gap(u64),
    /// Another owns the truth.
    Fenced,
}

impl Applier {
    /// Applies what comes until nothing more does, or another owns the truth.
    pub async fn run(self) {
        loop {
            match self.pending.next().await {
                Next::End => return,
                Next::Batch(batch) => {
                    let stopwatch = Stopwatch::start();
                    self.apply_until_done(batch, true).await;
                    self.rest(Duration::from_nanos(stopwatch.nanos())).await;
                }
                Next::Spilled => self.apply_from_outbox().await,
                Next::Lost => self.look_back().await,
            }
            if self.progress.is_fenced() {
                return;
            }
        }
    }

    /// Rests behind a transaction that `took` so long, until somebody waits for the truth or what comes next presses. Without an outbox the truth is
    /// the only durable place, and nothing is put off.
    async fn rest(&self, took: Duration) {
        if self.outbox.is_none() || self.progress.is_awaited() {
            return;
        }
        let lag = Duration::from_micros(self.clock.now().micros_since(self.stats.applied_cut()));
        let rest = rest(took, lag);
        if rest.is_zero() {
            return;
        }
        tokio::select! {
            () = sleep(rest) => {}
            () = self.progress.wait_awaited() => {}
            () = self.pending.wait_pressing() => {}
        }
    }

    /// Applies a batch, and with `merges` what has come behind it meanwhile.
    async fn apply_until_done(&self, mut batch: Batch, merges: bool) {
        let mut backoff = BACKOFF;
        loop {
            match self.attempt(&batch).await {
                Step::Done => return,
                // With its epoch again, the truth tells what it lacks.
                Step::Fenced => {
                    if !self.after_fence().await {
                        return;
                    }
                }
                Step::Gap(applied) => return self.replay_behind(applied, batch).await,
                Step::Again(reason) => {
                    self.note_trouble(reason);
                    sleep(backoff.pause(self.clock.now())).await;
                    if merges && let Some(more) = self.pending.take_more(&batch) {
                        batch = batch.merge(more);
                    }
                }
            }
        }
    }

    async fn attempt(&self, batch: &Batch) -> Step {
        let stopwatch = Stopwatch::start();
        let answer = self.store.apply(self.owner, batch).await;
        match answer {
            Ok(Applied::Whole { rejected }) => {
                self.stats.applies.add(1);
                self.stats.applied_rows.add(count(batch.records.len()));
                self.stats.apply_micros.add(stopwatch.nanos() / 1_000);
                self.note_applied(batch, &rejected);
                Step::Done
            }
            // The answer that told of these rows was lost, so none of them is pinned or counted yet. Counted twice is what a merged batch
            // refused if it is asked for in its parts, and not at all what was refused once and then taken as part of a larger batch.
            Ok(Applied::Before { rejected }) => {
                self.note_applied(batch, &rejected);
                Step::Done
            }
            Ok(Applied::Gap { applied }) => Step::Gap(applied),
            Ok(Applied::Fenced) => Step::Fenced,
            Err(StoreError::Damaged(reason)) => {
                tracing::error!(batch = batch.seq, "a batch cannot be applied: {reason}");
                Step::Again(reason)
            }
            Err(error) => Step::Again(error.to_string()),
        }
    }

    fn note_applied(&self, batch: &Batch, rejected: &[RejectedRecord]) {
        let (generation, first) = self.first;
        let generation = generation.plus(batch.seq.saturating_sub(first));
        for RejectedRecord { database, key, period, reason } in rejected {
            let name = String::from_utf8_lossy(key);
            if period.is_some() {
                tracing::error!(database, key = %name, "the truth refuses a closed period, which is lost: {reason}");
                continue;
            }
            self.engine.pin(*database, key, generation);
            tracing::error!(
                database,
                key = %name,
                "the truth refuses a key, whose changes stay in memory only: {reason}"
            );
        }
        self.stats.rejected_rows.add(count(rejected.len()));
        self.refusals.note(batch, rejected);
        // First how far the truth is, which a fetch compares with it; then keys may leave memory.
        self.progress.set_applied(batch.seq);
        self.engine.set_applied(generation);
        self.stats.note_applied(batch.cut_at);
        if self.outbox.is_none() {
            self.signals.look();
        }
        self.stats.lease_trouble.store(None);
        if self.stats.trouble.swap(None).is_some() {
            tracing::warn!(batch = batch.seq, "the truth takes changes again");
        }
        if self.progress.applied() + 1 == self.progress.open() {
            self.stats.waiting_rows.set(0);
        }
    }

    fn note_trouble(&self, reason: String) {
        self.stats.apply_failures.add(1);
        let now = self.clock.now();
        let line = format!("the truth takes no changes: {reason}");
        let is_due = self.lines.is_due(now.as_micros()).is_some();
        if self.stats.note_trouble(reason, now) || is_due {
            tracing::warn!(applied = self.progress.applied(), "{line}");
        }
    }

    /// Applies what the outbox has behind the last applied batch, then joins the queue again.
    async fn apply_from_outbox(&self) {
        let mut read = self.progress.applied();
        loop {
            match self.read_outbox(read).await {
                Ok(None) if self.pending.rejoin(read) => return,
                // What is on its way from the outbox to the queue comes in a moment.
                Ok(None) => {
                    sleep(JOIN_PAUSE).await;
                    read = self.skip_missing(read);
                }
                Ok(Some(batch)) => {
                    read = batch.seq;
                    self.apply_until_done(batch, false).await;
                    if self.progress.is_fenced() {
                        return;
                    }
                }
                Err(reason) => {
                    self.note_trouble(reason);
                    read = self.skip_missing(read);
                    sleep(BACKOFF.pause_at_most()).await;
                }
            }
        }
    }

    /// Behind which batch the outbox can be read, which is a later one than `read` where somebody has removed a part of it. What comes then
    /// finds the gap.
    fn skip_missing(&self, read: u64) -> u64 {
        let Some(outbox) = &self.outbox else { return read };
        let mut outbox = outbox.lock();
        let has_forgotten = outbox.forget_missing(read);
        let from = match outbox.first_kept_seq() {
            Some(first) => first - 1,
            None if has_forgotten => self.progress.kept(),
            None => read,
        };
        if from > read {
            tracing::error!(
                behind = read,
                up_to = from,
                "files of the outbox were removed before the truth had what is in them"
            );
            self.signals.everything();
        }
        read.max(from)
    }

    /// The next batches of the outbox behind `read`, merged up to a limit; `None`: there are none.
    async fn read_outbox(&self, read: u64) -> Result<Option<Batch>, String> {
        let Some(outbox) = self.outbox.clone() else {
            return Err("batches are missing, and there is no outbox to read them from".to_owned());
        };
        // Reading blocks, and the lock is held while the flusher waits for its disk.
        let reading = tokio::task::spawn_blocking(move || {
            let _part = Essential::part("reading the outbox");
            let batches = outbox.lock().read_after(read);
            next_merged(batches).map_err(|error| error.to_string())
        });
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// The truth has lost batches: a replica was promoted that lacked them. What the outbox has of them is applied again, and what it
    /// does not have any more is made good from memory as far as it is there.
    async fn replay_behind(&self, applied: u64, batch: Batch) {
        self.stats.chain_gaps.add(1);
        tracing::error!(
            applied,
            expected = batch.first_seq - 1,
            "the truth has lost batches that it had committed; they are applied again"
        );
        if let Some(from) = self.set_outbox_back(applied, batch.first_seq - 1) {
            let read = self.apply_from_outbox_behind(applied, from).await;
            // Perhaps it is on no disk.
            if read < batch.seq && !self.progress.is_fenced() {
                Box::pin(self.apply_until_done(batch, false)).await;
            }
            return;
        }
        self.note_lost_window(applied, batch.first_seq);
        // The next cut has all of it, so nothing has to come between.
        let batch = Batch { first_seq: applied + 1, ..batch };
        Box::pin(self.apply_until_done(batch, true)).await;
    }

    /// What lies between batch `applied` and batch `first_kept` is in the truth no more, and not in the outbox.
    fn note_lost_window(&self, applied: u64, first_kept: u64) {
        self.stats.lost_windows.add(1);
        tracing::error!(
            applied,
            first_kept,
            "batches that the truth lost are not kept any more: all that is in memory is written again, but keys that were only in the \
             truth, and deletions, may be lost"
        );
        self.signals.everything();
    }

    /// Lets the outbox be read behind batch `applied`, up to `last`; answers behind which batch, which is a later one where the outbox has
    /// not all of it any more. `None`: it has not the last.
    fn set_outbox_back(&self, applied: u64, last: u64) -> Option<u64> {
        let mut outbox = self.outbox.as_ref()?.lock();
        let first_kept = outbox.first_kept_seq()?;
        if outbox.last_seq()? < last {
            return None;
        }
        let from = applied.max(first_kept - 1);
        outbox.set_back(from);
        self.pending.leave_to_outbox();
        Some(from)
    }

    /// A fetch has found the truth behind what it was known to have: if it is so, that is applied again, though nothing else is to do.
    async fn look_back(&self) {
        let is_own = |row: &OwnerRow| row.owner == Some(self.owner) && row.epoch == self.progress.epoch();
        let Ok(mut row) = self.store.owner().await else { return };
        if !is_own(&row) {
            self.after_fence().await;
            let Ok(again) = self.store.owner().await else { return };
            row = again;
        }
        if !is_own(&row) {
            return;
        }
        let known = self.progress.applied();
        if row.applied >= known {
            // It answers, and nothing waits that could tell so.
            if known + 1 >= self.progress.open() {
                self.stats.trouble.store(None);
            }
            return;
        }
        self.stats.chain_gaps.add(1);
        tracing::error!(
            applied = row.applied,
            known,
            "the truth has lost batches that it had committed; they are applied again"
        );
        if let Some(from) = self.set_outbox_back(row.applied, known) {
            let _read = self.apply_from_outbox_behind(row.applied, from).await;
        } else {
            // The next batch, which has all that is in memory, tells of the gap.
            self.signals.everything();
        }
    }

    /// Replays what the outbox has behind `from` on a truth at `applied`; answers the last batch that it read.
    async fn apply_from_outbox_behind(&self, applied: u64, from: u64) -> u64 {
        if from > applied {
            self.note_lost_window(applied, from + 1);
        }
        let mut read = from;
        loop {
            match self.read_outbox(read).await {
                Ok(None) => break,
                Ok(Some(mut batch)) => {
                    if read == from {
                        // What comes between is nowhere.
                        batch.first_seq = batch.first_seq.min(applied + 1);
                    }
                    read = batch.seq;
                    Box::pin(self.apply_until_done(batch, false)).await;
                    if self.progress.is_fenced() || read >= self.progress.kept() {
                        break;
                    }
                    self.outbox.iter().for_each(|outbox| outbox.lock().replayed(read));
                }
                Err(reason) => {
                    self.note_trouble(reason);
                    read = self.skip_missing(read);
                    sleep(BACKOFF.pause_at_most()).await;
                }
            }
        }
        self.outbox.iter().for_each(|outbox| outbox.lock().end_replay());
        read
    }

    /// The owner row names another epoch or owner. If the owner is still this one and the epoch older, the truth was set back, and
    /// the epochs that it lost are taken again, and it answers so; else another has taken over.
    async fn after_fence(&self) -> bool {
        let row = self.owner_row().await;
        let is_own = row.owner == Some(self.owner) && row.data_set == self.claim.data_set;
        if is_own && row.epoch == self.progress.epoch() {
            // Behind a failover another connection may still lead to a server that is behind.
            sleep(BACKOFF.pause_at_most()).await;
            return true;
        }
        if is_own && row.epoch < self.progress.epoch() && self.retake(row.epoch).await {
            if self.outbox.is_some() {
                self.pending.leave_to_outbox();
            }
            return true;
        }
        let holder = if row.holder.is_empty() { "nobody" } else { &row.holder };
        self.progress.fence(&format!(
            "another server owns the data now (epoch {}, {holder}); this one had epoch {}",
            row.epoch,
            self.progress.epoch()
        ));
        false
    }

    /// Takes epochs until the truth stands at this server's own again.
    async fn retake(&self, found: u64) -> bool {
        let own = self.progress.epoch();
        tracing::error!(
            found,
            own,
            "the truth was set back behind this server's epoch, which is taken again"
        );
        let mut at = found;
        let mut tries = 0;
        while at < own && tries < MAX_RETAKEN_EPOCHS {
            tries += 1;
            let claim = Claim { behind: Some(at), ..self.claim.clone() };
            match self.store.begin_epoch(&claim).await {
                Ok(Claimed::Epoch(epoch)) => {
                    at = epoch.epoch;
                    continue;
                }
                // Behind a failover another connection may still lead to a server that is behind.
                Ok(Claimed::Moved) => {}
                Ok(_) => return false,
                Err(error) => self.note_trouble(error.to_string()),
            }
            sleep(BACKOFF.pause_at_most()).await;
            // It may have been taken all the same, or be yet: one more would be one too many.
            match self.owner_row().await {
                row if row.owner == Some(self.owner) => at = row.epoch,
                _ => return false,
            }
        }
        if at > own {
            self.progress.set_epoch(at);
        }
        at == own
    }

    /// What the truth says of its owner, once it answers.
    async fn owner_row(&self) -> OwnerRow {
        loop {
            match self.store.owner().await {
                Ok(row) => return row,
                Err(error) => {
                    self.note_trouble(error.to_string());
                    sleep(BACKOFF.pause_at_most()).await;
                }
            }
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
