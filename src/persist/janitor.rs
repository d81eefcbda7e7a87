//! The janitor: deletes from the truth, now and then and in small parts, the rows of keys that are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::flush_stats::FlushStats;
use super::progress::Progress;
use super::store::{Pruned, Store};
use crate::clock::Clock;

/// The time between two rounds: a row of a dead key costs only its place.
const ROUND_PAUSE: Duration = Duration::from_secs(300);

/// Rows that are looked at in one transaction: some milliseconds.
const ROWS_AT_ONCE: u32 = 5_000;

/// The time between two parts, so that a round takes a small share of the truth: five million rows in some minutes.
const PART_PAUSE: Duration = Duration::from_millis(50);

/// What the janitor works with.
pub struct Janitor {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which batches the truth has.
    pub progress: Arc<Progress>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// Up to which batch keys that are gone may be forgotten.
    pub limit: Arc<AtomicU64>,
}

impl Janitor {
    /// Cleans up in rounds until another owns the truth.
    pub async fn run(self) {
        while !self.progress.is_fenced() {
            tokio::time::sleep(ROUND_PAUSE).await;
            self.round().await;
        }
    }

    /// Looks at every row once.
    pub async fn round(&self) {
        let mut after = None;
        let applied = self.progress.applied().min(self.limit.load(Ordering::Relaxed));
        // Before the first is deleted: a start from an older snapshot would bring it back.
        if let Err(error) = self.store.note_pruned(applied).await {
            tracing::debug!("dead rows stay for now: {error}");
            return;
        }
        loop {
            let pruned = self.store.prune(after.as_ref(), ROWS_AT_ONCE, applied, self.clock.now()).await;
            match pruned {
                Ok(Pruned { deleted, next }) => {
                    self.stats.pruned_rows.add(deleted);
                    let Some(next) = next else { return };
                    after = Some(next);
                }
                Err(error) => {
                    // The next round begins again.
                    tracing::debug!("dead rows stay for now: {error}");
                    return;
                }
            }
            tokio::time::sleep(PART_PAUSE).await;
        }
    }
}
