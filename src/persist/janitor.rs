//! The janitor: deletes from the truth, now and then and in small parts, the rows of keys that are gone.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::flush_stats::FlushStats;
use super::progress::Progress;
use super::store::{Pruned, Store};
use crate::clock::{Clock, Timestamp};

/// The time between two rounds: a row of a dead key costs only its place.
const ROUND_PAUSE: Duration = Duration::from_secs(300);

/// Rows that are looked at in one transaction: some milliseconds.
const ROWS_AT_ONCE: u32 = 5_000;

/// The time between two parts, so that a round takes a small share of the truth: five million rows in some minutes.
const PART_PAUSE: Duration = Duration::from_millis(50);

/// How old a snapshot gets before rows of keys that are gone are forgotten which it does not cover. While snapshots fail, these rows would become
/// more for ever; and after a week a start saves little by a snapshot, since so much was changed behind it.
const LONGEST_COVERED: Duration = Duration::from_secs(7 * 86_400);

/// Up to which batch keys that are gone may be forgotten: a start from a snapshot needs the rows of those behind it.
#[derive(Default)]
pub struct PruneLimit(Mutex<Option<Covered>>);

/// What the newest snapshot covers.
#[derive(Clone, Copy)]
struct Covered {
    seq: u64,
    cut_at: Timestamp,
}

impl PruneLimit {
    /// A snapshot of batch `seq`, which was cut at `cut_at`, can be started from.
    pub fn set(&self, seq: u64, cut_at: Timestamp) {
        *self.0.lock() = Some(Covered { seq, cut_at });
    }

    /// The limit at `now`; `None`: there is none, since there are no snapshots, or only such that are too old.
    fn at(&self, now: Timestamp) -> Option<u64> {
        let Covered { seq, cut_at } = (*self.0.lock())?;
        let is_young = u128::from(now.micros_since(cut_at)) <= LONGEST_COVERED.as_micros();
        if !is_young {
            tracing::debug!(
                seq,
                "the newest snapshot is over a week old: keys that ended since are forgotten"
            );
        }
        is_young.then_some(seq)
    }
}

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
    pub limit: Arc<PruneLimit>,
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
        let limit = self.limit.at(self.clock.now()).unwrap_or(u64::MAX);
        let applied = self.progress.applied().min(limit);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::persist::contract::{NOON, OWNER, batch, claimed, put, record};
    use crate::persist::fake::FakeStore;

    const DAY_MICROS: u64 = 86_400_000_000;

    #[tokio::test]
    async fn what_a_snapshot_needs_stays_for_a_week() {
        let store = Arc::new(FakeStore::new());
        let clock = Arc::new(ManualClock::at(NOON));
        let progress = Arc::new(Progress::default());
        let epoch = claimed(&*store).await;
        progress.begin(epoch, 0);
        let records = [vec![put("a", 1), put("b", 1)], vec![record("a", None)], vec![record("b", None)]];
        for (seq, records) in (1..).zip(records) {
            store.apply(OWNER, &batch(epoch, seq, records)).await.unwrap();
            progress.set_applied(seq);
        }
        let limit = Arc::new(PruneLimit::default());
        let janitor = Janitor {
            store: store.clone(),
            clock: clock.clone(),
            progress,
            stats: Arc::default(),
            limit: Arc::clone(&limit),
        };
        let check = async |days: u64, deleted: u64, noted: u64| {
            clock.set(NOON.plus_micros(days * DAY_MICROS));
            janitor.round().await;
            assert_eq!(
                (janitor.stats.pruned_rows.value(), store.pruned().await),
                (deleted, Ok(noted)),
                "{days}"
            );
        };
        limit.set(1, NOON);
        check(1, 0, 1).await;
        limit.set(2, NOON.plus_micros(DAY_MICROS));
        check(8, 1, 2).await;
        // No snapshot was written since: those that are there can no longer be started from.
        check(9, 2, 3).await;
        limit.set(3, NOON.plus_micros(9 * DAY_MICROS));
        check(9, 2, 3).await;
    }
}
