//! Recovery: everything the truth holds streams into memory while the server serves; what is asked for earlier is fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::backoff::Backoff;
use super::flush_stats::{Count, FlushStats};
use super::record::Record;
use super::store::{DamagedRow, Page, Store, StoreError};
use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, MissingKey};

/// Rows of one query: a few milliseconds of the truth, some MiB of memory.
const PAGE_ROWS: u32 = 10_000;

/// Records put into memory before fetches that wait are looked after: about a millisecond.
const RECORDS_AT_ONCE: usize = 1_000;

/// How long to wait before a truth that does not answer is asked again.
const BACKOFF: Backoff = Backoff::between(Duration::from_millis(50), Duration::from_secs(2));

/// How far recovery has come.
#[derive(Default)]
pub struct Loading {
    /// Rows of the truth that were looked at.
    pub seen: Count,
    /// Keys that it put into memory.
    pub loaded: Count,
    /// Keys that had no room.
    pub left: Count,
    /// Keys that lived in the truth when it began.
    pub total: Count,
    /// How long it took, or has taken so far.
    pub micros: Count,
    is_over: AtomicBool,
    began_micros: AtomicU64,
}

impl Loading {
    /// Whether the stream has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// When the stream began; 0: it has not.
    #[must_use]
    pub fn began_secs(&self) -> u64 {
        self.began_micros.load(Ordering::Relaxed) / 1_000_000
    }
}

/// What recovery works with.
pub struct Recovery {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// All keys.
    pub engine: Arc<Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How far it has come.
    pub loading: Arc<Loading>,
    /// What is counted.
    pub stats: Arc<FlushStats>,
    /// Whether there is room in memory for more.
    pub has_room: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Recovery {
    /// Streams until the truth has no more rows.
    pub async fn run(self) {
        let stopwatch = Stopwatch::start();
        self.loading.began_micros.store(self.clock.now().as_micros(), Ordering::Relaxed);
        let total = self.count().await;
        self.loading.total.set(total);
        self.engine.expect_keys(usize::try_from(total).unwrap_or(usize::MAX));
        let mut next = Some(self.page(None).await);
        while let Some(page) = next {
            // The truth reads the next page while this one is put into memory.
            let after = page.next.clone();
            let following = async {
                match &after {
                    Some(after) => Some(self.page(Some(after)).await),
                    None => None,
                }
            };
            self.note_damaged(&page.damaged);
            let (following, ()) = tokio::join!(following, self.put(page.records));
            self.loading.micros.set(stopwatch.nanos() / 1_000);
            next = following;
        }
        self.engine.end_loading();
        self.loading.is_over.store(true, Ordering::Release);
        tracing::info!(
            keys = self.loading.loaded.value(),
            left_in_truth = self.loading.left.value(),
            damaged_rows = self.stats.damages.count(),
            millis = stopwatch.nanos() / 1_000_000,
            "the truth's keys are in memory"
        );
    }

    /// Keys whose rows cannot be read stay unknown: in memory they would have no value, and absent they would have a fresh quota.
    fn note_damaged(&self, damaged: &[DamagedRow]) {
        for row in damaged {
            self.stats.damages.note(row);
            if let Some(MissingKey { database, key }) = row.place() {
                self.engine.note_left(database, &key);
            }
        }
        self.loading.seen.add(u64::try_from(damaged.len()).unwrap_or(u64::MAX));
    }

    async fn count(&self) -> u64 {
        let mut backoff = BACKOFF;
        loop {
            match self.store.count(self.clock.now()).await {
                Ok(count) => return count,
                Err(error) => self.after_error(&error, &mut backoff).await,
            }
        }
    }

    async fn page(&self, after: Option<&MissingKey>) -> Page {
        let mut backoff = BACKOFF;
        loop {
            match self.store.scan(after, PAGE_ROWS, self.clock.now()).await {
                Ok(page) => return page,
                Err(error) => self.after_error(&error, &mut backoff).await,
            }
        }
    }

    async fn after_error(&self, error: &StoreError, backoff: &mut Backoff) {
        tracing::warn!("loading is interrupted: {error}");
        tokio::time::sleep(backoff.pause(self.clock.now())).await;
    }

    async fn put(&self, records: Vec<Record>) {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let now = self.clock.now();
            let has_room = (self.has_room)();
            let (mut loaded, mut left, mut seen) = (0, 0, 0);
            for Record { database, key, value } in records.by_ref().take(RECORDS_AT_ONCE) {
                let Some(value) = value else { continue };
                seen += 1;
                if !has_room {
                    self.engine.note_left(database, &key);
                    left += 1;
                } else if self.engine.load(database, &key, (value.content, value.expiry), now) {
                    loaded += 1;
                }
            }
            self.loading.seen.add(seen);
            self.loading.loaded.add(loaded);
            self.loading.left.add(left);
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests;
