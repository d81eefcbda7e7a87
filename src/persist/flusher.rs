//! The flusher: cuts, collects, and keeps each batch on disk before it goes on its way to the truth.
//!
//! It is a thread of its own, since writing to a disk blocks. Invariants:
//! 1. Every generation that is cut becomes exactly one batch, with the next number.
//! 2. Nothing is cut while a batch is neither on disk nor in the truth: what changes meanwhile stays in the engine, and goes into the next.
//! 3. A batch is handed on after it is on disk. One that the disk does not take is handed on at once, and waited for in the truth.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::batch::{Batch, ClosedPeriod, Records};
use super::flush_stats::FlushStats;
use super::moment::{Moment, Moments};
use super::outbox::{Outbox, OutboxError};
use super::pending::Pending;
use super::progress::Progress;
use super::signals::{Asked, Signals};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::engine::{Engine, Gate, Generation};
use crate::metrics::Seldom;

/// How long to leave threads alone after one of them was still in its turn.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// How long a batch may be without a place before changes are refused, where the disk and the truth have both refused it.
const UNKEPT_PATIENCE: Duration = Duration::from_secs(1);

/// The same while the truth has not refused anything: it is slow, and changes wait for it in memory.
const SLOW_PATIENCE: Duration = Duration::from_secs(15);

/// How often a batch that the disk did not take is tried again.
const APPEND_PAUSE: Duration = Duration::from_millis(200);

/// How long the flusher waits for the truth at a time, so that it sees when it is to end.
const TRUTH_PAUSE: Duration = Duration::from_millis(20);

/// What a record is expected to have before any was seen: a key of some words and a limit.
const FIRST_RECORD_BYTES: usize = 64;

/// The most memory in which changes are collected that is kept from one cut to the next; 100,000 keys with a limit need less.
const MAX_COLLECTING_BYTES: usize = 16 * 1024 * 1024;

/// What the flusher shares with others.
pub struct FlushParts {
    /// All keys.
    pub engine: Arc<Engine>,
    /// Holds the threads that execute.
    pub gate: Arc<Gate>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How far batches have come.
    pub progress: Arc<Progress>,
    /// Batches on their way.
    pub pending: Arc<Pending>,
    /// What wakes the flusher.
    pub signals: Arc<Signals>,
    /// Who asks for a cut of everything.
    pub moments: Arc<Moments>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// The log on disk; `None`: the truth is on this disk itself.
    pub outbox: Option<Arc<Mutex<Outbox>>>,
    /// The time from one cut to the next.
    pub interval: Duration,
}

/// The flusher's own state.
pub struct Flusher {
    parts: FlushParts,
    /// Where changes are collected, as they come.
    collecting: Records,
    /// What the last records had on average, so that there is room for the next before a guard is held.
    record_bytes: usize,
    /// A cut was asked for while the truth, which has no outbox before it, was not free.
    is_put_off: bool,
    /// Whether changes are refused because the truth, which has no outbox before it, does not take them.
    is_refusing: bool,
    compaction: Option<std::thread::JoinHandle<Option<super::outbox::Compacted>>>,
    /// Whether the last cut was not made.
    has_left: bool,
    /// The pace of the log's lines on an outbox that takes nothing.
    lines: Seldom,
}

impl Flusher {
    /// A flusher that has not cut yet.
    #[must_use]
    pub fn new(parts: FlushParts) -> Self {
        let collecting = Records::default();
        let record_bytes = FIRST_RECORD_BYTES;
        Self {
            parts,
            collecting,
            record_bytes,
            is_put_off: false,
            is_refusing: false,
            compaction: None,
            has_left: false,
            lines: Seldom::default(),
        }
    }

    /// Flushes until it is asked to end; then once more. Whether it could: else what was changed since the last cut is in memory alone.
    pub fn run(mut self) -> bool {
        let mut next = Stopwatch::start();
        loop {
            let elapsed = Duration::from_nanos(next.nanos());
            let asked = self.parts.signals.wait(self.parts.interval.saturating_sub(elapsed));
            if asked.everything {
                // Here, between two cuts, the open generation stands still.
                self.parts.engine.queue_everything();
            }
            let is_due = next.nanos() >= nanos_of(self.parts.interval);
            if self.parts.progress.is_fenced() {
                break;
            }
            if asked.cut || asked.end || is_due || (asked.look && self.is_put_off) {
                next = Stopwatch::start();
                self.flush(asked);
                self.keep_house();
            }
            if asked.end {
                break;
            }
        }
        self.parts.moments.refuse();
        self.parts.pending.close();
        if let Some(compaction) = self.compaction.take() {
            // What it has written and nobody swaps in is deleted when the outbox is opened next.
            drop(compaction.join());
        }
        !self.has_left
    }

    /// One batch from the cut until it is on disk.
    fn flush(&mut self, asked: Asked) {
        let is_last = asked.end;
        if !self.may_cut(is_last) {
            self.has_left = is_last && self.parts.engine.queued() > 0;
            self.is_put_off |= asked.cut;
            self.refuse_if_stuck();
            return;
        }
        self.is_put_off = false;
        if std::mem::take(&mut self.is_refusing) {
            self.parts.progress.set_refusal(None);
            tracing::warn!("changes are taken again");
        }
        self.note_if_idle();
        let expected = self.parts.engine.queued();
        let Some((generation, seq)) = self.cut(is_last) else { return };
        let batch = self.collect(generation, seq, expected);
        let rows = count(batch.records.len());
        let stats = Arc::clone(&self.parts.stats);
        stats.batches.add(1);
        stats.rows.add(rows);
        stats.waiting_rows.add(rows);
        stats.unkept_rows.set(rows);
        self.keep(batch, is_last);
        stats.unkept_rows.set(0);
    }

    /// Where nothing was changed, nothing before now is missing: how far behind the truth is counts from the change that comes next.
    fn note_if_idle(&self) {
        let FlushParts { engine, clock, progress, stats, .. } = &self.parts;
        let now = clock.now();
        if engine.queued() > 0 {
            return;
        }
        stats.note_kept(now);
        if progress.applied() + 1 == progress.open() {
            stats.note_applied(now);
        }
    }

    /// Without an outbox the truth takes one batch at a time, so that what changes meanwhile is coalesced.
    fn may_cut(&self, is_last: bool) -> bool {
        if self.parts.outbox.is_some() {
            return true;
        }
        let is_free = || self.parts.progress.applied() + 1 >= self.parts.progress.open();
        let stopwatch = Stopwatch::start();
        while is_last && !is_free() && !self.parts.progress.is_fenced() {
            if stopwatch.nanos() >= nanos_of(self.parts.signals.patience()) {
                return false;
            }
            std::thread::sleep(TRUTH_PAUSE);
        }
        is_free()
    }

    /// Where the truth is the only place and does not take a batch for a while, changes are refused until it does.
    fn refuse_if_stuck(&mut self) {
        let parts = &self.parts;
        let Some(reason) = parts.stats.trouble.load_full() else { return };
        let since = parts.clock.now().micros_since(parts.stats.trouble_since());
        if !self.is_refusing && since >= micros_of(UNKEPT_PATIENCE) {
            self.is_refusing = true;
            // First refused, then told: whoever reads the line may rely on it.
            parts.progress.set_refusal(Some(refusal(&reason)));
            tracing::error!(%reason, "changes are refused: the truth does not take them");
        }
    }

    /// Waits a moment; whether it is worth going on: at the end nobody waits for a truth that does not answer.
    fn wait_for_truth(&self, pause: Duration) -> bool {
        std::thread::sleep(pause);
        self.parts.stats.trouble.load().is_none()
    }

    /// Closes the open generation between turns, and begins the snapshot that is asked for. `None`: nothing was changed, or a turn takes
    /// too long just now.
    fn cut(&self, is_last: bool) -> Option<(Generation, u64)> {
        let FlushParts { engine, gate, progress, stats, moments, .. } = &self.parts;
        let wants_moment = moments.is_asked();
        if engine.queued() == 0 && !wants_moment {
            return None;
        }
        loop {
            let stopwatch = Stopwatch::start();
            let cut = gate.close(|| {
                let closed = engine.cut().map(|generation| (generation, progress.close()));
                (closed, if wants_moment { engine.begin_snapshot() } else { None })
            });
            stats.gate_micros.add(stopwatch.nanos() / 1_000);
            match cut {
                Ok((closed, snapshot)) => {
                    if let Some(cut) = snapshot {
                        let seq = progress.open() - 1;
                        moments.answer(Moment {
                            cut,
                            epoch: progress.epoch(),
                            seq,
                            at: self.parts.clock.now(),
                        });
                    }
                    return closed;
                }
                Err(_) if is_last => std::thread::sleep(BUSY_PAUSE),
                Err(_) => {
                    stats.busy_gates.add(1);
                    // The turn is over soon, and the cut then comes a little late rather than an interval late.
                    self.parts.signals.hurry();
                    std::thread::sleep(BUSY_PAUSE);
                    return None;
                }
            }
        }
    }

    /// Makes the batch of a generation, of about as many keys as are `expected`.
    fn collect(&mut self, generation: Generation, seq: u64, expected: usize) -> Batch {
        let Self { parts, collecting, record_bytes, .. } = self;
        let stopwatch = Stopwatch::start();
        let cut_at = parts.clock.now();
        collecting.reserve(room_for(expected, *record_bytes));
        let collected = parts.engine.collect(generation, |change| {
            let value = change.content.as_ref().map(|(content, expiry)| (content, *expiry));
            collecting.push(change.database, &change.key, value);
        });
        let batch = Batch {
            epoch: parts.progress.epoch(),
            first_seq: seq,
            seq,
            cut_at,
            flushed_databases: collected.flushed_databases,
            records: collecting.sorted(),
            closed_periods: collected.closed_periods.into_iter().map(ClosedPeriod::from).collect(),
        };
        if let Some(bytes) = collecting.byte_len().checked_div(collecting.len()) {
            *record_bytes = bytes;
        }
        collecting.shrink(MAX_COLLECTING_BYTES);
        parts.stats.collect_micros.add(stopwatch.nanos() / 1_000);
        batch
    }

    /// Puts a batch on disk and hands it on; where there is no outbox, only that.
    fn keep(&self, batch: Batch, is_last: bool) {
        let parts = &self.parts;
        let (seq, cut_at) = (batch.seq, batch.cut_at);
        let Some(outbox) = &parts.outbox else {
            parts.pending.push(batch, false);
            return;
        };
        match self.append(outbox, &batch) {
            Ok(()) => {
                self.note_kept(seq, cut_at);
                parts.pending.push(batch, true);
            }
            Err(reason) => {
                parts.pending.push(batch.clone(), false);
                self.wait_for_place(outbox, &batch, reason, is_last);
            }
        }
    }

    fn append(&self, outbox: &Mutex<Outbox>, batch: &Batch) -> Result<(), String> {
        let stopwatch = Stopwatch::start();
        let mut guard = outbox.lock();
        let appended = self.append_behind(&mut guard, batch);
        let stats = &self.parts.stats;
        stats.append_micros.add(stopwatch.nanos() / 1_000);
        match appended {
            Ok(()) => {
                stats.outbox_trouble.store(None);
                Ok(())
            }
            Err(error) => {
                stats.append_failures.add(1);
                stats.outbox_trouble.store(Some(Arc::new(error.to_string())));
                Err(error.to_string())
            }
        }
    }

    /// Where the outbox lacks what came before, since the disk did not take it, that is in the truth: the outbox begins anew.
    fn append_behind(&self, outbox: &mut Outbox, batch: &Batch) -> Result<(), OutboxError> {
        let (before, kept) = (batch.first_seq - 1, self.parts.progress.kept());
        // An outbox that is empty takes any number. At the end there may be a batch before this one that no place took.
        if kept < before {
            let Batch { first_seq, seq, epoch, .. } = *batch;
            return Err(OutboxError::NotNext {
                covers: (first_seq, seq),
                epoch,
                next: Some(kept + 1),
                own_epoch: epoch,
            });
        }
        if outbox.last_seq().is_some_and(|last| last < before) && self.parts.progress.applied() >= before {
            outbox.clear()?;
        }
        outbox.append(batch.first_seq, batch)
    }

    fn note_kept(&self, seq: u64, cut_at: Timestamp) {
        self.parts.stats.note_kept(cut_at);
        self.parts.progress.set_kept(seq);
    }

    /// The disk refuses a batch: until it takes it, or the truth has it, nothing more is cut, and after a while changes are refused.
    fn wait_for_place(&self, outbox: &Mutex<Outbox>, batch: &Batch, mut reason: String, is_last: bool) {
        let parts = &self.parts;
        // Where the truth takes each, as many come as there are cuts.
        if self.lines.is_due(parts.clock.now().as_micros()).is_some() {
            tracing::error!(%reason, batch = batch.seq, "the outbox takes no changes");
        }
        let stopwatch = Stopwatch::start();
        let mut is_refusing = false;
        let mut tried = Stopwatch::start();
        while parts.progress.applied() < batch.seq && !parts.progress.is_fenced() {
            if tried.nanos() >= nanos_of(APPEND_PAUSE) {
                tried = Stopwatch::start();
                match self.append(outbox, batch) {
                    Ok(()) => {
                        parts.pending.note_kept(batch.seq);
                        break;
                    }
                    Err(error) => reason = error,
                }
            }
            let is_refused = parts.stats.trouble.load().is_some();
            let patience = if is_refused { UNKEPT_PATIENCE } else { SLOW_PATIENCE };
            let is_late = stopwatch.nanos() >= nanos_of(patience);
            if is_late && !is_refusing {
                is_refusing = true;
                parts.progress.set_refusal(Some(refusal(&reason)));
                tracing::error!(%reason, "changes are refused: neither the outbox nor the truth takes them");
            }
            let is_worth_it = self.wait_for_truth(TRUTH_PAUSE);
            if (is_last || parts.signals.is_ending()) && is_late && !is_worth_it {
                tracing::error!(
                    rows = batch.records.len(),
                    "the last changes are lost, unless the truth takes them yet: no place took them"
                );
                return;
            }
        }
        if parts.progress.is_fenced() {
            return;
        }
        self.note_kept(batch.seq, batch.cut_at);
        if is_refusing {
            parts.progress.set_refusal(None);
            tracing::warn!("changes are taken again");
        }
    }

    /// What the outbox needs beside appending: segments that are over are deleted, old ones are compacted.
    fn keep_house(&mut self) {
        let Some(outbox) = &self.parts.outbox else { return };
        let mut guard = outbox.lock();
        let applied = guard.applied(self.parts.progress.applied(), self.parts.clock.now());
        note_failure(applied);
        if let Some(running) = self.compaction.take_if(|running| running.is_finished())
            && let Ok(Some(compacted)) = running.join()
        {
            note_failure(guard.replace(compacted));
        }
        if self.compaction.is_none()
            && let Some(compaction) = note_failure(guard.compaction()).flatten()
        {
            let run = move || match compaction.run() {
                Ok(compacted) => Some(compacted),
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be compacted, and is tried again");
                    None
                }
            };
            self.compaction = std::thread::Builder::new().name("quotad-compact".to_owned()).spawn(run).ok();
        }
    }
}

/// What fails in keeping house is tried again, and costs only room on the disk.
fn note_failure<T>(result: Result<T, OutboxError>) -> Option<T> {
    result.inspect_err(|error| tracing::debug!("the outbox keeps more than it needs to: {error}")).ok()
}

/// The error for clients.
fn refusal(reason: &str) -> String {
    format!("MISCONF changes are refused, since they cannot be kept: {reason}")
}

/// The bytes to make room for: a quarter more than so many records had, if they were as the last; and no more than is kept anyway, since a
/// single large value says nothing about the next records.
fn room_for(records: usize, record_bytes: usize) -> usize {
    records.saturating_mul(record_bytes.saturating_add(record_bytes / 4)).min(MAX_COLLECTING_BYTES)
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
