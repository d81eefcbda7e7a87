//! The truth in an SQLite file: what quotad uses where nothing else is configured.
//!
//! The file is in WAL mode and every commit reaches the disk (`synchronous=FULL`). One connection writes, others read beside it. The
//! truth's clock is the machine's.

mod apply;
mod closed;
mod error;
mod owner;
mod place;
mod read;
mod restore;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, Transaction};
use tokio::runtime::Handle;

use super::batch::Batch;
use super::closed::{ClosedPage, ClosedPlace, ClosedUntil};
use super::fetched::{Fetched, most_bytes};
use super::migrations::{Migration, due};
use super::store::{
    Answer, Applied, Claim, Claimed, DataSetId, Id, OwnerId, OwnerRow, Page, Pruned, Restore, Restoring,
    Store, StoreError, Tenure, Written,
};
use super::told_epochs::ToldEpochs;
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use error::{unavailable, unclear};
use place::{FilePlace, LogFile};
use read::fetch;

/// Every change of the schema, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "truth", sql: include_str!("../../migrations/sqlite/0001_truth.sql") },
    Migration {
        version: 2,
        name: "refused_batches",
        sql: include_str!("../../migrations/sqlite/0002_refused_batches.sql"),
    },
    Migration {
        version: 3,
        name: "snapshots",
        sql: include_str!("../../migrations/sqlite/0003_snapshots.sql"),
    },
    Migration {
        version: 4,
        name: "refused_periods",
        sql: include_str!("../../migrations/sqlite/0004_refused_periods.sql"),
    },
];

/// How long a statement waits for another process that writes, for instance somebody's sqlite3 shell; then the flush is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a connection: as long as for the file, and a little more.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that read: a scan and fetches beside it.
const READERS: u32 = 4;

/// Pages of 4 KiB in the WAL before it is written back, 40 MiB: a flush of 100,000 rows is about half of it.
const CHECKPOINT_PAGES: &str = "10000";

/// KiB of pages in memory for each connection, as SQLite wants it told; 16 MiB.
const CACHE_KIB: &str = "-16384";

/// The mode of the file: it holds everybody's data.
const FILE_MODE: u32 = 0o600;

/// An SQLite file.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    place: FilePlace,
    /// Where large values are read.
    runtime: Handle,
}

impl SqliteStore {
    /// Opens the file, or makes it, readable for nobody else; [`Store::migrate`] comes next. Within a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where the file cannot be made or is none of SQLite's.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
        if let Err(error) = made
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            return Err(StoreError::Denied(format!("{} cannot be made: {error}", path.display())));
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", CACHE_KIB)
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .after_release(|connection, _| Box::pin(is_usable(connection)))
        };
        let log_file = LogFile::default();
        let begun = Arc::clone(&log_file);
        let writer = pool(1).after_connect(move |_, _| {
            *begun.lock() = None;
            Box::pin(async { Ok(()) })
        });
        let writer = writer.connect_with(options.clone()).await;
        let writer = writer.map_err(|error| of_file(path, unavailable(error)))?;
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&writer)
            .await
            .map_err(|error| of_file(path, unavailable(error)))?;
        let place = FilePlace::of(path, mode == "wal", log_file).map_err(|error| {
            StoreError::Denied(format!("{} cannot be looked at: {error}", path.display()))
        })?;
        Ok(Self {
            writer,
            readers: pool(READERS).connect_lazy_with(options),
            place,
            runtime: Handle::current(),
        })
    }

    /// The data that a file is known to hold, without its log, which is not touched; `None` where that cannot be told.
    pub async fn data_set_in(path: &Path) -> Option<DataSetId> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
        let mut connection = SqliteConnection::connect_with(&options).await.ok()?;
        let data_set: Option<Option<String>> =
            sqlx::query_scalar("SELECT data_set FROM owner").fetch_optional(&mut connection).await.ok()?;
        Id::parse(&data_set.flatten()?)
    }

    /// What is due where there is no file yet.
    #[must_use]
    pub fn all_migrations() -> Vec<String> {
        MIGRATIONS.iter().map(Migration::title).collect()
    }

    /// Closes the file, after what runs has ended.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction that writes: it has the file to itself from its first statement on.
    async fn write(&self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
        self.place.check()?;
        Ok(transaction)
    }

    async fn migrations(&self, dry_run: bool) -> Result<Vec<String>, StoreError> {
        const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations
            (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at_ms INTEGER NOT NULL)";
        const APPLIED: &str = "SELECT version, checksum FROM migrations ORDER BY version";
        const NOTE: &str =
            "INSERT INTO migrations VALUES (?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER))";
        let mut transaction = self.write().await?;
        sqlx::query(TABLE).execute(&mut *transaction).await.map_err(unavailable)?;
        let applied: Vec<(i64, String)> =
            sqlx::query_as(APPLIED).fetch_all(&mut *transaction).await.map_err(unavailable)?;
        let due = due(MIGRATIONS, &applied)?;
        if dry_run || due.is_empty() {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(due.iter().map(Migration::title).collect());
        }
        for migration in due {
            sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.map_err(unavailable)?;
            sqlx::query(NOTE)
                .bind(migration.version)
                .bind(migration.name)
                .bind(migration.checksum())
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unclear)?;
        Ok(due.iter().map(Migration::title).collect())
    }
}

/// Whether a connection can be used again. What SQLite has rolled back by itself, since a commit found the disk full or a page could not be
/// read, cannot be rolled back once more: the transaction then counts as open for as long as the connection is there.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Behind the rollback that its transaction asked for when it was dropped.
    Ok(connection.ping().await.is_ok() && !connection.is_in_transaction())
}

/// The error with the file it is about.
fn of_file(path: &Path, error: StoreError) -> StoreError {
    let told = |reason: String| format!("{}: {reason}", path.display());
    match error {
        StoreError::Unavailable(reason) => StoreError::Unavailable(told(reason)),
        StoreError::Unclear(reason) => StoreError::Unclear(told(reason)),
        StoreError::Denied(reason) => StoreError::Denied(told(reason)),
        StoreError::Damaged(reason) => StoreError::Damaged(told(reason)),
    }
}

impl Store for SqliteStore {
    fn migrate(&self, dry_run: bool) -> Answer<'_, Vec<String>> {
        Box::pin(self.migrations(dry_run))
    }

    fn data_set(&self) -> Answer<'_, Option<DataSetId>> {
        Box::pin(self.known_data_set())
    }

    fn owner(&self) -> Answer<'_, OwnerRow> {
        Box::pin(self.owner_row())
    }

    fn begin_epoch<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Claimed> {
        Box::pin(self.claim(claim))
    }

    fn renew(&self, epoch: u64, owner: OwnerId, lease: Duration) -> Answer<'_, Tenure> {
        Box::pin(self.set_lease(epoch, owner, Some(lease)))
    }

    fn release(&self, epoch: u64, owner: OwnerId) -> Answer<'_, Tenure> {
        Box::pin(async move {
            let tenure = self.set_lease(epoch, owner, None).await?;
            // Who copies the file of a server that has ended, and forgets the WAL beside it, has everything.
            let written = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await;
            if let Err(error) = written {
                tracing::debug!("the WAL stays beside the file: {error}");
            }
            Ok(tenure)
        })
    }

    fn apply<'a>(&'a self, owner: OwnerId, batch: &'a Batch) -> Answer<'a, Applied> {
        Box::pin(self.apply_batch(owner, batch))
    }

    fn fetch<'a>(&'a self, keys: &'a [MissingKey], now: Timestamp) -> Answer<'a, Fetched> {
        Box::pin(fetch(&self.readers, keys, now, most_bytes(keys.len())))
    }

    fn fetch_large<'a>(&'a self, keys: &'a [MissingKey], _bytes: u64, now: Timestamp) -> Answer<'a, Fetched> {
        Box::pin(self.fetch_large_keys(keys, now))
    }

    fn scan<'a>(&'a self, after: Option<&'a MissingKey>, rows: u32, now: Timestamp) -> Answer<'a, Page> {
        Box::pin(self.scan_page(after, rows, now))
    }

    fn count(&self, now: Timestamp) -> Answer<'_, u64> {
        Box::pin(self.count_live(now))
    }

    fn prune<'a>(
        &'a self,
        after: Option<&'a MissingKey>,
        rows: u32,
        applied: u64,
        now: Timestamp,
    ) -> Answer<'a, Pruned> {
        Box::pin(self.prune_rows(after, rows, applied, now))
    }

    fn epochs(&self) -> Answer<'_, ToldEpochs> {
        Box::pin(self.told_epochs())
    }

    fn scan_written<'a>(
        &'a self,
        written: Written,
        after: Option<&'a MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Answer<'a, Page> {
        Box::pin(self.written_page(written, after, rows, now))
    }

    fn scan_closed<'a>(
        &'a self,
        until: ClosedUntil,
        after: Option<&'a ClosedPlace>,
        rows: u32,
    ) -> Answer<'a, ClosedPage> {
        Box::pin(self.closed_page(until, after, rows))
    }

    fn flushed(&self) -> Answer<'_, Vec<(u8, u64)>> {
        Box::pin(self.flush_marks())
    }

    fn note_pruned(&self, up_to: u64) -> Answer<'_, ()> {
        Box::pin(self.set_pruned(up_to))
    }

    fn pruned(&self) -> Answer<'_, u64> {
        Box::pin(self.pruned_number())
    }

    fn begin_restore<'a>(&'a self, restore: &'a Restore) -> Answer<'a, Restoring> {
        Box::pin(self.make_empty(restore))
    }

    fn end_restore(&self, epoch: u64, owner: OwnerId, data_set: DataSetId) -> Answer<'_, Tenure> {
        Box::pin(self.name_data(epoch, owner, data_set))
    }
}

#[cfg(test)]
mod tests;
