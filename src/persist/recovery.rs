//! Recovery: everything the truth holds streams into memory while the server serves; what is asked for earlier is fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::backoff::Backoff;
use super::base::{Base, BaseEntry, ChangedKeys, Past, Put};
use super::flush_stats::{Count, FlushStats};
use super::record::Record;
use super::store::{DamagedRow, DataSetId, Page, Store, StoreError, Written};
use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, MissingKey};

/// Rows of one query: a few milliseconds of the truth, some MiB of memory.
const PAGE_ROWS: u32 = 10_000;

/// Records put into memory before fetches that wait are looked after: about a millisecond.
const RECORDS_AT_ONCE: usize = 1_000;

/// Entries of a copy between two looks whether there is room.
const ROOM_LOOK: u64 = 1_024;

/// So many changed keys are read beside a copy, however small that is.
const LEAST_CHANGED: usize = 100_000;

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
    pub has_room: HasRoom,
    /// Where copies of the truth are; `None`: nowhere.
    pub base: Option<Arc<dyn Base>>,
    /// Which data the truth holds.
    pub data_set: DataSetId,
}

/// Tells whether there is room in memory for more.
pub type HasRoom = Arc<dyn Fn() -> bool + Send + Sync>;

impl Recovery {
    /// Loads until memory has, or knows of, every key of the truth: from a copy and what was changed since, or by a stream of all rows.
    pub async fn run(self) {
        let stopwatch = Stopwatch::start();
        self.loading.began_micros.store(self.clock.now().as_micros(), Ordering::Relaxed);
        let total = self.count().await;
        self.loading.total.set(total);
        self.engine.expect_keys(usize::try_from(total).unwrap_or(usize::MAX));
        let from = match &self.base {
            Some(base) => self.load_from(&**base).await,
            None => None,
        };
        if from.is_none() {
            self.loading.seen.set(0);
            self.stream(&stopwatch).await;
        }
        self.loading.micros.set(stopwatch.micros());
        self.engine.end_loading();
        self.loading.is_over.store(true, Ordering::Release);
        tracing::info!(
            keys = self.loading.loaded.value(),
            left_in_truth = self.loading.left.value(),
            damaged_rows = self.stats.damages.count(),
            millis = stopwatch.micros() / 1_000,
            snapshot = from.as_deref().unwrap_or("none"),
            "the truth's keys are in memory"
        );
    }

    /// Streams until the truth has no more rows.
    async fn stream(&self, stopwatch: &Stopwatch) {
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
            self.loading.micros.set(stopwatch.micros());
            next = following;
        }
    }

    /// Loads what was changed behind a copy, then the copy; answers its name. `None`: there is none, or it is damaged.
    async fn load_from(&self, base: &dyn Base) -> Option<String> {
        let past = Past {
            data_set: self.data_set,
            epochs: self.store.epochs().await.ok()?.rows,
            applied: self.store.owner().await.ok()?.applied,
            pruned: self.store.pruned().await.ok()?,
            now: self.clock.now(),
        };
        let found = base.find(&past).await?;
        let most_changed = usize::try_from(found.entries / 2).unwrap_or(usize::MAX).max(LEAST_CHANGED);
        let changed = self.load_changed(found.seq, most_changed).await?;
        // Marked after the rows were read: a database that is flushed from now on is emptied in memory as well.
        let flushed = self.store.flushed().await.ok()?;
        let flushed: Vec<u8> =
            flushed.into_iter().filter(|&(_, seq)| seq > found.seq).map(|(database, _)| database).collect();
        let put = self.put_unchanged(changed, flushed);
        match base.load(put).await {
            Ok(entries) => {
                tracing::info!(
                    snapshot = found.id,
                    entries,
                    "what was not changed since was loaded from a snapshot"
                );
                Some(found.id)
            }
            Err(error) => {
                tracing::error!(
                    snapshot = found.id,
                    "the snapshot cannot be loaded, and the truth is read as a whole: {error}"
                );
                None
            }
        }
    }

    /// Loads the rows that were changed behind a batch; answers their keys. `None`: so many were that reading all is as good.
    async fn load_changed(&self, seq: u64, most: usize) -> Option<ChangedKeys> {
        let written = Written { behind: seq, up_to: i64::MAX.cast_unsigned(), with_gone: true };
        let mut changed = ChangedKeys::default();
        let mut after = None;
        loop {
            let mut backoff = BACKOFF;
            let page = loop {
                let now = self.clock.now();
                match self.store.scan_written(written, after.as_ref(), PAGE_ROWS, now).await {
                    Ok(page) => break page,
                    Err(error) => self.after_error(&error, &mut backoff).await,
                }
            };
            page.records.iter().for_each(|record| changed.insert(record.database, &record.key));
            for key in page.damaged.iter().filter_map(DamagedRow::place) {
                changed.insert(key.database, &key.key);
            }
            self.note_damaged(&page.damaged);
            self.put(page.records).await;
            after = page.next;
            if changed.len() > most {
                tracing::info!(
                    changed = changed.len(),
                    "so many keys were changed behind the snapshot that the truth is read as a whole"
                );
                return None;
            }
            if after.is_none() {
                return Some(changed);
            }
        }
    }

    /// What puts entries of a copy into memory, unless they were changed behind it.
    fn put_unchanged(&self, changed: ChangedKeys, flushed: Vec<u8>) -> Put {
        let (engine, loading) = (Arc::clone(&self.engine), Arc::clone(&self.loading));
        let (has_room, now) = (Arc::clone(&self.has_room), self.clock.now());
        let (room, put) = (AtomicBool::new(true), AtomicU64::new(0));
        Arc::new(move |BaseEntry { database, key, content, expiry }| {
            // What was changed behind the copy has been counted with its row.
            if expiry.has_passed(now) || flushed.contains(&database) || changed.contains(database, key) {
                return;
            }
            loading.seen.add(1);
            if put.fetch_add(1, Ordering::Relaxed).is_multiple_of(ROOM_LOOK) {
                room.store(has_room(), Ordering::Relaxed);
            }
            if !room.load(Ordering::Relaxed) {
                engine.note_left(database, key);
                loading.left.add(1);
            } else if engine.load(database, key, (content, expiry), now) {
                loading.loaded.add(1);
            }
        })
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
