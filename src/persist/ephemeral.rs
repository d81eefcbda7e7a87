//! The databases that no truth gets: at a start they come from the newest snapshot, before any command runs.
//!
//! A truth that holds keys of such a database would give them back, as old as they are, on the day on which the database is no longer
//! ephemeral. So it is looked for them, and a start with any is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backoff::Backoff;
use super::base::{Base, BaseEntry, BaseError, Put};
use super::flush_stats::FlushStats;
use super::start::StartRefused;
use super::store::{DataSetId, OwnerId, Page, Store, StoreError};
use crate::clock::{Clock, Stopwatch};
use crate::engine::{DatabaseSet, Engine, MissingKey};
use crate::metrics::Seldom;

/// The pause between two questions to a truth or a store of snapshots that does not answer.
const BACKOFF: Backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(2));

/// Rows of the truth that are looked at with one query.
const PAGE_ROWS: u32 = 1_000;

/// Longer than any key's beginning in an index of a truth, so that the last key of a database sorts before it or is one.
const LONGEST_KEY: [u8; 4_096] = [u8::MAX; 4_096];

/// What fills such databases.
pub(super) struct EphemeralStart<'a> {
    pub store: &'a Arc<dyn Store>,
    pub base: Option<&'a Arc<dyn Base>>,
    pub engine: &'a Arc<Engine>,
    pub clock: &'a Arc<dyn Clock>,
    pub data_set: DataSetId,
    pub epoch: u64,
    pub owner: OwnerId,
    pub lease: Duration,
    /// What is counted: whether anything is waited for.
    pub stats: &'a FlushStats,
}

impl EphemeralStart<'_> {
    /// Fills the databases, or leaves them empty where there is no snapshot of them, and says that they are whole.
    ///
    /// # Errors
    /// Where the truth holds keys of one of them, or a snapshot cannot be read as things are.
    pub(super) async fn run(self) -> Result<(), StartRefused> {
        let databases = self.engine.ephemeral_databases();
        if databases.is_empty() {
            return Ok(());
        }
        for database in databases.iter() {
            self.refuse_rows(database).await?;
        }
        if let Some(base) = self.base {
            self.fill(&**base, databases).await?;
        }
        self.engine.end_loading_ephemeral();
        Ok(())
    }

    /// Refuses a database of which the truth holds keys.
    async fn refuse_rows(&self, database: u8) -> Result<(), StartRefused> {
        let before = database.checked_sub(1);
        let mut after = before.map(|database| MissingKey { database, key: Box::from(&LONGEST_KEY[..]) });
        loop {
            let page = self.page(after.as_ref()).await?;
            let is_of_it = page.records.iter().any(|record| record.database == database)
                || page.damaged.iter().any(|row| row.database == i64::from(database));
            if is_of_it {
                return Err(StartRefused(format!(
                    "the truth holds keys of database {database}, which ephemeral-databases names: they would come back as they are now \
                     on the day on which it is no longer ephemeral; start without it there, empty it by SELECT {database} and FLUSHDB, and \
                     start again, or name another database"
                )));
            }
            after = page.next.filter(|next| next.database <= database);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks until the truth answers.
    async fn page(&self, after: Option<&MissingKey>) -> Result<Page, StartRefused> {
        let mut backoff = BACKOFF;
        loop {
            match self.store.scan(after, PAGE_ROWS, self.clock.now()).await {
                Err(StoreError::Unavailable(reason) | StoreError::Unclear(reason)) => {
                    self.stats.note_trouble(reason, self.clock.now());
                    tokio::time::sleep(backoff.pause(self.clock.now())).await;
                }
                answer => {
                    self.stats.trouble.store(None);
                    return Ok(answer?);
                }
            }
        }
    }

    /// Loads the newest snapshot that is not damaged. Waits for a store that does not answer as long as it takes: to begin empty would
    /// grant again what was used.
    async fn fill(&self, base: &dyn Base, databases: DatabaseSet) -> Result<(), StartRefused> {
        let stopwatch = Stopwatch::start();
        let (mut backoff, lines) = (BACKOFF, Seldom::default());
        loop {
            let loaded = Arc::new(AtomicU64::new(0));
            let begin = || self.put_afresh(&loaded);
            match base.load_ephemeral(self.data_set, databases, &begin).await {
                Ok(snapshot) => {
                    self.stats.trouble.store(None);
                    tracing::info!(
                        snapshot = snapshot.as_deref().unwrap_or("none"),
                        keys = loaded.load(Ordering::Relaxed),
                        millis = stopwatch.micros() / 1_000,
                        "ephemeral databases are as the newest snapshot has them"
                    );
                    return Ok(());
                }
                Err(BaseError::Away(reason)) => self.note_wait(&lines, &reason),
                Err(BaseError::Refused(reason)) => return Err(StartRefused(reason)),
            }
            tokio::time::sleep(backoff.pause(self.clock.now())).await;
            // Nothing else keeps the lease yet. Whether it is lost shows at the first flush.
            let _ = self.store.renew(self.epoch, self.owner, self.lease).await;
        }
    }

    fn note_wait(&self, lines: &Seldom, reason: &str) {
        let trouble = format!("the start waits for a snapshot of the ephemeral databases: {reason}");
        self.stats.note_trouble(trouble, self.clock.now());
        if lines.is_due(self.clock.now().as_micros()).is_some() {
            tracing::warn!(
                "the start waits for a snapshot of the ephemeral databases (--snapshots none begins with empty ones): {reason}"
            );
        }
    }

    /// Forgets what a snapshot that turned out to be damaged has put into memory, and takes the entries of another one.
    fn put_afresh(&self, loaded: &Arc<AtomicU64>) -> Put {
        self.engine.forget_loaded();
        loaded.store(0, Ordering::Relaxed);
        let (engine, loaded, now) = (Arc::clone(self.engine), Arc::clone(loaded), self.clock.now());
        Arc::new(move |BaseEntry { database, key, content, expiry }| {
            if !expiry.has_passed(now) && engine.load(database, key, (content, expiry), now) {
                loaded.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}
