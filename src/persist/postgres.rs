//! The truth in Postgres.
//!
//! Everything happens in transactions that set what they need for themselves: no session keeps a state, no statement stays prepared, no
//! lock outlives a commit. So it works through PgBouncer in transaction mode, and with a role that owns only its schema.

mod apply;
mod closed;
mod error;
mod fetch;
mod held;
mod key;
mod options;
mod owner;
mod probe;
mod put;
mod read;
mod restore;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction};
use tokio::runtime::Handle;

use super::batch::Batch;
use super::closed::{ClosedPage, ClosedPlace, ClosedUntil};
use super::fetched::Fetched;
use super::migrations::{Migration, due};
use super::store::{
    Answer, Applied, Claim, Claimed, DataSetId, OwnerId, OwnerRow, Page, Pruned, Restore, Restoring, Store,
    StoreError, Tenure, Written,
};
use super::told_epochs::ToldEpochs;
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use error::{unavailable, unclear};
use held::{HeldConnections, MOST_HELD};
pub use options::PostgresOptions;

/// Every change of the schema, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "truth", sql: include_str!("../../migrations/postgres/0001_truth.sql") },
    Migration {
        version: 2,
        name: "refused_batches",
        sql: include_str!("../../migrations/postgres/0002_refused_batches.sql"),
    },
    Migration {
        version: 3,
        name: "snapshots",
        sql: include_str!("../../migrations/postgres/0003_snapshots.sql"),
    },
    Migration {
        version: 4,
        name: "refused_periods",
        sql: include_str!("../../migrations/postgres/0004_refused_periods.sql"),
    },
];

/// Starts of several servers migrate one after the other. The lock ends with its transaction, so PgBouncer may be between; the number
/// is made of the letters `quotad`, and a lock for each database is enough.
const MIGRATION_LOCK: i64 = 0x7175_6f74_6164;

/// How long to wait for a connection, also to a server that is not there; then the flush is tried again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a server that gave no connection may take to say why.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a call of few rows may take altogether: a server that was stopped, or a connection that a firewall has forgotten, gives no
/// answer for as long as anybody waits. Longer than the waits for locks that Postgres ends itself.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call over all rows may take: counting a hundred million.
const LONG_CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Rows for which a batch has a second more, and bytes: of a slow server, and of a slow network.
const ROWS_PER_SECOND: usize = 10_000;
const BYTES_PER_SECOND: usize = 2 * 1024 * 1024;

/// The most times of that which a batch is given, where it was late again and again: minutes, and hours for a large one.
const MAX_PATIENCE: u32 = 64;

/// How long a connection that is given back may take to say that it lives, before it is closed: one whose call was given up waits for the
/// answer of that.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections of the pool: one flushes, one renews the lease, two read large values, the others scan.
const POOLED_CONNECTIONS: u32 = 6;

/// Connections altogether.
const CONNECTIONS: u32 = POOLED_CONNECTIONS + MOST_HELD;

/// A Postgres database.
pub struct PostgresStore {
    pool: PgPool,
    /// Connections that fetches use one after the other.
    held: Arc<HeldConnections>,
    /// How many times the usual time the next batch has.
    patience: AtomicU32,
    /// Where connections are made.
    runtime: Handle,
    /// What every transaction begins with.
    begin: Arc<str>,
    /// What one begins with that reads pages of rows.
    begin_repeatable: Arc<str>,
    /// What stands before a text of statements that read.
    begin_read: String,
    /// What stands before the names of tables there.
    schema: String,
}

impl PostgresStore {
    /// Makes the pool, which connects on first use; [`Store::migrate`] comes next. Within a Tokio runtime.
    #[must_use]
    pub fn new(options: &PostgresOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(POOLED_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(is_usable(connection)))
            .connect_lazy_with(options.connection());
        Self {
            pool,
            held: Arc::default(),
            patience: AtomicU32::new(1),
            runtime: Handle::current(),
            begin: options.begin().into(),
            begin_repeatable: options.begin_repeatable().into(),
            begin_read: PostgresOptions::begin_read(),
            schema: options.schema(),
        }
    }

    /// Closes every connection, after what runs has ended.
    pub async fn close(&self) {
        self.held.close();
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin_with(&self.begin).await
    }

    async fn begin_with(&self, begin: &Arc<str>) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.held.close_idle();
        match self.pool.begin_with(AssertSqlSafe(Arc::clone(begin))).await {
            Err(sqlx::Error::PoolTimedOut) => {
                // Where a role may have few connections, fetches keep none from flushing, and make none until it has had its turn.
                self.held.note_refusal();
                self.held.close();
                Err(self.without_connection().await)
            }
            begun => begun.map_err(unavailable),
        }
    }

    /// Why the pool gave no connection in time. It tries a full server again and again and keeps to itself what that said, so it is asked.
    async fn without_connection(&self) -> StoreError {
        let options = self.pool.connect_options();
        match tokio::time::timeout(DIAGNOSIS_TIMEOUT, PgConnection::connect_with(&options)).await {
            Ok(Ok(_)) => StoreError::Unavailable(format!(
                "all {POOLED_CONNECTIONS} connections to Postgres that are not for fetches were in use for {} s: it answers, but too slowly",
                ACQUIRE_TIMEOUT.as_secs()
            )),
            Ok(Err(error)) => self.told_where(unavailable(error)),
            Err(_) => self.told_where(unavailable(sqlx::Error::PoolTimedOut)),
        }
    }

    /// The same with the server that was asked.
    fn told_where(&self, error: StoreError) -> StoreError {
        let options = self.pool.connect_options();
        match (error, options.get_socket()) {
            (StoreError::Unavailable(reason), Some(folder)) => {
                StoreError::Unavailable(format!("Postgres in {}: {reason}", folder.display()))
            }
            (StoreError::Unavailable(reason), None) => {
                let (host, port) = (options.get_host(), options.get_port());
                StoreError::Unavailable(format!("Postgres on {host}:{port}: {reason}"))
            }
            (other, _) => other,
        }
    }

    async fn migrations(&self, dry_run: bool) -> Result<Vec<String>, StoreError> {
        const TABLE: &str = "CREATE TABLE IF NOT EXISTS quotad_migrations
            (version bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL)";
        const APPLIED: &str = "SELECT version, checksum FROM quotad_migrations ORDER BY version";
        const NOTE: &str = "INSERT INTO quotad_migrations VALUES ($1, $2, $3, clock_timestamp())";
        let mut transaction = self.begin().await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).persistent(false);
        lock.execute(&mut *transaction).await.map_err(unavailable)?;
        let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await
            .map_err(unavailable)?;
        check_encoding(&encoding)?;
        let there: bool = sqlx::query_scalar("SELECT to_regclass('quotad_migrations') IS NOT NULL")
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await
            .map_err(unavailable)?;
        if !there {
            sqlx::raw_sql(TABLE).execute(&mut *transaction).await.map_err(unavailable)?;
        }
        let applied: Vec<(i64, String)> = sqlx::query_as(APPLIED)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable)?;
        let due = due(MIGRATIONS, &applied)?;
        if dry_run || due.is_empty() {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(due.iter().map(Migration::title).collect());
        }
        for migration in due {
            sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.map_err(unavailable)?;
            let note =
                sqlx::query(NOTE).bind(migration.version).bind(migration.name).bind(migration.checksum());
            note.persistent(false).execute(&mut *transaction).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unclear)?;
        Ok(due.iter().map(Migration::title).collect())
    }
}

/// A key that the encoding has no letters for would keep its whole batch out of the truth.
fn check_encoding(encoding: &str) -> Result<(), StoreError> {
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Denied(format!(
        "the database's encoding is {encoding}, which cannot hold every key: use one that was made with \
         CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    )))
}

/// Whether a connection that is given back can be used again; an error closes it without a word to the server. One to a server that only
/// reads cannot: behind a failover the address leads to another one by now, and this one would refuse what is written for as long as it
/// keeps its connections.
async fn is_usable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // A transaction that was begun before belongs to a call that was given up before it knew of that.
    const MAY_WRITE: &str =
        "SELECT current_setting('transaction_read_only') = 'off' AND now() = statement_timestamp()";
    let asked = async {
        let rows = sqlx::raw_sql(MAY_WRITE).fetch_one(connection).await?;
        rows.try_get::<bool, _>(0)
    };
    match tokio::time::timeout(RELEASE_TIMEOUT, asked).await {
        Ok(may_write) => Ok(may_write.unwrap_or(false)),
        Err(_) => Err(sqlx::Error::WorkerCrashed),
    }
}

/// How long a call may take that carries so much.
fn call_timeout(rows: usize, bytes: usize) -> Duration {
    let seconds = u64::try_from(rows / ROWS_PER_SECOND + bytes / BYTES_PER_SECOND).unwrap_or(u64::MAX);
    CALL_TIMEOUT.saturating_add(Duration::from_secs(seconds))
}

fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unclear(format!("no answer within {} s", limit.as_secs()))
}

/// Gives a call up that takes longer than `limit`. What it changes may be changed or not.
fn within<'a, T: 'a>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(async move { tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(no_answer(limit))) })
}

impl Store for PostgresStore {
    fn migrate(&self, dry_run: bool) -> Answer<'_, Vec<String>> {
        within(LONG_CALL_TIMEOUT, self.migrations(dry_run))
    }

    fn data_set(&self) -> Answer<'_, Option<DataSetId>> {
        within(CALL_TIMEOUT, self.known_data_set())
    }

    fn owner(&self) -> Answer<'_, OwnerRow> {
        within(CALL_TIMEOUT, self.owner_row())
    }

    fn begin_epoch<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Claimed> {
        within(CALL_TIMEOUT, self.claim(claim))
    }

    fn renew(&self, epoch: u64, owner: OwnerId, lease: Duration) -> Answer<'_, Tenure> {
        within(CALL_TIMEOUT, self.set_lease(epoch, owner, Some(lease)))
    }

    fn release(&self, epoch: u64, owner: OwnerId) -> Answer<'_, Tenure> {
        within(CALL_TIMEOUT, self.set_lease(epoch, owner, None))
    }

    fn apply<'a>(&'a self, owner: OwnerId, batch: &'a Batch) -> Answer<'a, Applied> {
        Box::pin(self.apply_batch(owner, batch))
    }

    fn fetch<'a>(&'a self, keys: &'a [MissingKey], now: Timestamp) -> Answer<'a, Fetched> {
        within(CALL_TIMEOUT, self.fetch_keys(keys, now))
    }

    fn fetch_large<'a>(&'a self, keys: &'a [MissingKey], bytes: u64, now: Timestamp) -> Answer<'a, Fetched> {
        // On the wire each is two hexadecimal digits.
        let bytes = usize::try_from(bytes.saturating_mul(2)).unwrap_or(usize::MAX);
        within(call_timeout(keys.len(), bytes), self.fetch_large_keys(keys, now))
    }

    fn scan<'a>(&'a self, after: Option<&'a MissingKey>, rows: u32, now: Timestamp) -> Answer<'a, Page> {
        within(LONG_CALL_TIMEOUT, self.scan_page(after, rows, now))
    }

    fn count(&self, now: Timestamp) -> Answer<'_, u64> {
        within(LONG_CALL_TIMEOUT, self.count_live(now))
    }

    fn prune<'a>(
        &'a self,
        after: Option<&'a MissingKey>,
        rows: u32,
        applied: u64,
        now: Timestamp,
    ) -> Answer<'a, Pruned> {
        within(LONG_CALL_TIMEOUT, self.prune_rows(after, rows, applied, now))
    }

    fn epochs(&self) -> Answer<'_, ToldEpochs> {
        within(CALL_TIMEOUT, self.told_epochs())
    }

    fn scan_written<'a>(
        &'a self,
        written: Written,
        after: Option<&'a MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Answer<'a, Page> {
        within(LONG_CALL_TIMEOUT, self.written_page(written, after, rows, now))
    }

    fn scan_closed<'a>(
        &'a self,
        until: ClosedUntil,
        after: Option<&'a ClosedPlace>,
        rows: u32,
    ) -> Answer<'a, ClosedPage> {
        within(LONG_CALL_TIMEOUT, self.closed_page(until, after, rows))
    }

    fn flushed(&self) -> Answer<'_, Vec<(u8, u64)>> {
        within(CALL_TIMEOUT, self.flush_marks())
    }

    fn note_pruned(&self, up_to: u64) -> Answer<'_, ()> {
        within(CALL_TIMEOUT, self.set_pruned(up_to))
    }

    fn pruned(&self) -> Answer<'_, u64> {
        within(CALL_TIMEOUT, self.pruned_number())
    }

    fn begin_restore<'a>(&'a self, restore: &'a Restore) -> Answer<'a, Restoring> {
        within(LONG_CALL_TIMEOUT, self.make_empty(restore))
    }

    fn end_restore(&self, epoch: u64, owner: OwnerId, data_set: DataSetId) -> Answer<'_, Tenure> {
        within(CALL_TIMEOUT, self.name_data(epoch, owner, data_set))
    }
}

#[cfg(test)]
mod tests;
