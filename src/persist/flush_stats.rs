//! What is counted of flushing, for INFO and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::damages::Damages;
use crate::clock::Timestamp;

/// Counts; any thread reads them.
#[derive(Default)]
pub struct FlushStats {
    /// Batches that were cut.
    pub batches: Count,
    /// Rows in them.
    pub rows: Count,
    /// Cuts that were put off because a thread was in its turn.
    pub busy_gates: Count,
    /// Time that threads were held for cuts.
    pub gate_micros: Count,
    /// Time that collecting took.
    pub collect_micros: Count,
    /// Time that the outbox took, its fsync included.
    pub append_micros: Count,
    /// Failed writes to the outbox.
    pub append_failures: Count,
    /// Transactions that were committed in the truth.
    pub applies: Count,
    /// Rows in them.
    pub applied_rows: Count,
    /// Time from the beginning of each transaction to its commit.
    pub apply_micros: Count,
    /// Transactions that failed and were tried again.
    pub apply_failures: Count,
    /// Rows that the truth refused.
    pub rejected_rows: Count,
    /// Times that the truth had lost batches, which were applied again.
    pub chain_gaps: Count,
    /// Times that more was lost than the outbox still had.
    pub lost_windows: Count,
    /// Keys that were fetched from the truth.
    pub fetched_keys: Count,
    /// Queries that fetched them.
    pub fetch_queries: Count,
    /// Fetches that ended in an error.
    pub fetch_failures: Count,
    /// Rows deleted from the truth, since their keys are gone.
    pub pruned_rows: Count,
    /// Keys that were compared with the truth.
    pub verified_keys: Count,
    /// Those that differed.
    pub differing_keys: Count,
    /// Rows of the truth that cannot be read.
    pub damages: Damages,
    /// Rows in batches that the truth does not have yet.
    pub waiting_rows: Count,
    /// Keys that were changed and are in no batch on disk, without those in the open generation.
    pub unkept_rows: Count,
    /// When the last batch that is on disk was cut; 0: none was.
    kept_cut_micros: AtomicU64,
    /// When the last batch that the truth has was cut; 0: none was.
    applied_cut_micros: AtomicU64,
    /// When the truth did not take a batch for the first time since it took one.
    trouble_since_micros: AtomicU64,
    /// What the start is at, before anything is served.
    pub stage: ArcSwapOption<String>,
    /// Why the truth did not take the last batch, if it did not.
    pub trouble: ArcSwapOption<String>,
    /// Why the outbox did not take the last batch, if it did not.
    pub outbox_trouble: ArcSwapOption<String>,
    /// Why it did not renew the lease, if it did not: all that an idle server meets of a truth that is away.
    pub lease_trouble: ArcSwapOption<String>,
}

/// A number that any thread may change.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Takes off what was added.
    pub fn take_off(&self, number: u64) {
        self.0.fetch_sub(number, Ordering::Relaxed);
    }

    /// Sets.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl FlushStats {
    /// Notes the time of the cut up to which all changes are on disk.
    pub fn note_kept(&self, cut_at: Timestamp) {
        self.kept_cut_micros.fetch_max(cut_at.as_micros(), Ordering::Relaxed);
    }

    /// Notes the time of the cut up to which the truth has all changes.
    pub fn note_applied(&self, cut_at: Timestamp) {
        self.note_kept(cut_at);
        self.applied_cut_micros.fetch_max(cut_at.as_micros(), Ordering::Relaxed);
    }

    /// Notes that the truth did not take a batch; whether that is news.
    pub fn note_trouble(&self, reason: String, now: Timestamp) -> bool {
        let is_news = self.trouble.load().is_none();
        if is_news {
            self.trouble_since_micros.store(now.as_micros(), Ordering::Relaxed);
        }
        self.trouble.store(Some(Arc::new(reason)));
        is_news
    }

    /// What people are told is wrong with the truth.
    #[must_use]
    pub fn told_trouble(&self) -> Option<Arc<String>> {
        self.trouble.load_full().or_else(|| self.lease_trouble.load_full())
    }

    /// Since when the truth takes no batch; only while there is [trouble](Self::trouble).
    #[must_use]
    pub fn trouble_since(&self) -> Timestamp {
        Timestamp::from_micros(self.trouble_since_micros.load(Ordering::Relaxed))
    }

    /// The last cut that is on disk.
    #[must_use]
    pub fn kept_cut(&self) -> Timestamp {
        Timestamp::from_micros(self.kept_cut_micros.load(Ordering::Relaxed))
    }

    /// The last cut that the truth has.
    #[must_use]
    pub fn applied_cut(&self) -> Timestamp {
        Timestamp::from_micros(self.applied_cut_micros.load(Ordering::Relaxed))
    }
}
