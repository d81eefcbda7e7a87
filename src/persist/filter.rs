//! Makes the filter of keys that left memory anew when more have left than it was made for.

use std::sync::Arc;
use std::time::Duration;

use super::flush_stats::FlushStats;
use super::progress::Progress;
use super::store::{DamagedRow, Store, StoreError};
use crate::clock::Clock;
use crate::engine::Engine;

/// How often it is looked at: a full filter only costs fetches of keys that are not there.
const LOOK_PAUSE: Duration = Duration::from_secs(10);

/// Rows of one query.
const PAGE_ROWS: u32 = 10_000;

/// The time between two queries: the keys of a large truth are met in the background.
const PAGE_PAUSE: Duration = Duration::from_millis(10);

/// How many times as many keys as the truth has the next filter is made for.
const GROWTH: u64 = 2;

/// What keeps the filter.
pub struct FilterKeeper {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether this server still owns the truth, and how far that has been.
    pub progress: Arc<Progress>,
    /// Whether the truth has lost anything meanwhile.
    pub stats: Arc<FlushStats>,
}

impl FilterKeeper {
    /// Looks now and then until another owns the truth.
    pub async fn run(self) {
        while !self.progress.is_fenced() {
            tokio::time::sleep(LOOK_PAUSE).await;
            if self.engine.filter_is_full() {
                match self.renew().await {
                    Ok(keys) => tracing::info!(keys, "the filter of keys that left memory was made anew"),
                    Err(error) => {
                        tracing::warn!("the filter of keys that left memory stays full for now: {error}")
                    }
                }
            }
        }
    }

    /// Meets every key of the truth; the next filter takes the place of the old one only behind the last.
    pub(super) async fn renew(&self) -> Result<u64, StoreError> {
        let (gaps, known) = (self.stats.chain_gaps.value(), self.progress.applied());
        let count = self.store.count(self.clock.now()).await?;
        self.engine.begin_filter(usize::try_from(count.saturating_mul(GROWTH)).unwrap_or(usize::MAX));
        let mut after = None;
        loop {
            let page = self.store.scan(after.as_ref(), PAGE_ROWS, self.clock.now()).await?;
            for record in &page.records {
                self.engine.note_left(record.database, &record.key);
            }
            for key in page.damaged.iter().filter_map(DamagedRow::place) {
                self.engine.note_left(key.database, &key.key);
            }
            if page.next.is_none() {
                break;
            }
            after = page.next;
            tokio::time::sleep(PAGE_PAUSE).await;
        }
        // Keys that it lacked for a while would be taken for absent.
        let row = self.store.owner().await?;
        if row.epoch < self.progress.epoch() || row.applied < known || self.stats.chain_gaps.value() != gaps {
            return Err(StoreError::Unavailable("it has lost batches, which are applied again".to_owned()));
        }
        self.engine.end_filter();
        Ok(count)
    }
}
