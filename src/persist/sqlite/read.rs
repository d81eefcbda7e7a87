//! Fetching, scanning, counting and pruning in SQLite.

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use tokio::task::JoinSet;

use super::SqliteStore;
use super::error::{unavailable, unclear};
use super::owner::read_owner;
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::fetched::{Fetched, FetchedValue, LeftOut, left_out};
use crate::persist::rows::{PageSize, ScannedRow, now_ms, page_of, signed, stored_value, unsigned};
use crate::persist::store::{OwnerRow, Page, Pruned, StoreError, Written};

/// With the bytes that are left out, of a state of more than ?4.
const FETCH: &str = "SELECT CASE WHEN length(e.state) <= ?4 THEN e.state END, e.expires_at_ms,
        CASE WHEN length(e.state) > ?4 THEN length(e.state) END
    FROM entries e LEFT JOIN flushed f ON f.database = e.database
    WHERE e.database = ?1 AND e.key = ?2 AND NOT e.deleted
        AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
        AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))";

/// The rows behind (?1, ?2). Of those that live at ?3 the last column has the bytes that are left out, of states over a MiB: some rows are
/// on their way before one knows how many are wanted. A first page begins before every row, at database -1. SQLite keeps in any column
/// whatever somebody has written into it: a key that is not of bytes is nobody's, and its place in the order cannot be told.
const SCAN: &str =
    "SELECT CASE WHEN length(e.state) <= 1048576 THEN e.state END, e.expires_at_ms, e.database, e.key,
        CASE WHEN NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
            AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))
        THEN CASE WHEN length(e.state) > 1048576 THEN length(e.state) ELSE 0 END END
    FROM entries e LEFT JOIN flushed f ON f.database = e.database
    WHERE (e.database, e.key) > (?1, ?2) AND e.database >= 0 AND typeof(e.database) = 'integer'
        AND typeof(e.key) = 'blob'
    ORDER BY e.database, e.key LIMIT ?4";

/// As [`SCAN`], of the rows that batches behind ?5 up to ?6 wrote; with those of keys that are gone, or not.
const SCAN_WRITTEN: &str = "SELECT CASE WHEN length(state) <= 1048576 THEN state END, expires_at_ms,
        database, key,
        CASE WHEN lives THEN CASE WHEN length(state) > 1048576 THEN length(state) ELSE 0 END END
    FROM (
        SELECT e.database, e.key, e.state, e.expires_at_ms,
            NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
                AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
        FROM entries e LEFT JOIN flushed f ON f.database = e.database
        WHERE (e.database, e.key) > (?1, ?2) AND e.database >= 0 AND typeof(e.database) = 'integer'
            AND typeof(e.key) = 'blob' AND e.seq > ?5 AND e.seq <= ?6
    ) WHERE lives OR ?7 ORDER BY database, key LIMIT ?4";

const FLUSHED: &str = "SELECT database, seq FROM flushed ORDER BY database";

const COUNT: &str = "SELECT count(*) FROM entries e LEFT JOIN flushed f ON f.database = e.database
    WHERE NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?)
        AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))";

/// Where the rows to look at end.
const PRUNE_END: &str = "SELECT database, key FROM entries WHERE (database, key) > (?1, ?2)
    ORDER BY database, key LIMIT 1 OFFSET ?3 - 1";

/// Deletes what is dead behind (?1, ?2) up to (?3, ?4).
const PRUNE: &str = "DELETE FROM entries WHERE (database, key) > (?1, ?2) AND (database, key) <= (?3, ?4)
    AND seq <= ?5 AND (deleted OR expires_at_ms <= ?6 OR EXISTS (SELECT 1 FROM flushed f
        WHERE f.database = entries.database AND (entries.epoch, entries.seq) < (f.epoch, f.seq)))";

/// Behind the last row: databases are bytes.
const END: (i64, &[u8]) = (256, &[]);

fn place(after: Option<&MissingKey>) -> (i64, &[u8]) {
    after.map_or((-1, &[]), |after| (i64::from(after.database), &after.key))
}

/// The value of a row that lives, whose first two columns are state and expiry, of any type.
fn value_of(row: &SqliteRow) -> FetchedValue {
    let refused = |error: sqlx::Error| error.to_string();
    let state: Option<Vec<u8>> = row.try_get(0).map_err(refused)?;
    stored_value(state.as_deref(), row.try_get(1).map_err(refused)?).map(Some)
}

/// The value of a key, without a state of more than `most_bytes`: then how many it has.
async fn fetch_value(
    connection: &mut SqliteConnection,
    (database, key): (i64, &[u8]),
    now: Timestamp,
    most_bytes: usize,
) -> Result<(FetchedValue, Option<u64>), sqlx::Error> {
    let most_bytes = i64::try_from(most_bytes).unwrap_or(i64::MAX);
    let query = sqlx::query(FETCH).bind(database).bind(key).bind(now_ms(now)).bind(most_bytes);
    let Some(row) = query.fetch_optional(connection).await? else { return Ok((Ok(None), None)) };
    let bytes = row.try_get::<Option<i64>, _>(2)?.map(unsigned);
    Ok((bytes.map_or_else(|| value_of(&row), |bytes| Err(left_out(bytes))), bytes))
}

/// The values of keys, without states of more than `most_bytes`.
pub(super) async fn fetch(
    readers: &SqlitePool,
    keys: &[MissingKey],
    now: Timestamp,
    most_bytes: usize,
) -> Result<Fetched, StoreError> {
    // One transaction, so that all are read as of one point in time.
    let mut transaction = readers.begin().await.map_err(unavailable)?;
    let OwnerRow { epoch, applied, .. } = read_owner(&mut *transaction).await?;
    let mut fetched = Fetched { epoch, applied, ..Fetched::default() };
    for (at, MissingKey { database, key }) in keys.iter().enumerate() {
        let place = (i64::from(*database), &**key);
        let value = fetch_value(&mut transaction, place, now, most_bytes).await;
        let (value, left_out) = value.map_err(unavailable)?;
        fetched.values.push(value);
        fetched.left_out.extend(left_out.map(|bytes| LeftOut { at, bytes }));
    }
    transaction.rollback().await.map_err(unavailable)?;
    Ok(fetched)
}

/// A row of a scan, and the bytes of its state that were left out.
fn scanned(row: &SqliteRow) -> Result<(ScannedRow, u64), sqlx::Error> {
    let left_out: Option<i64> = row.try_get(4)?;
    let value = if left_out == Some(0) { value_of(row) } else { Ok(None) };
    let row = ScannedRow { database: row.try_get(2)?, key: row.try_get::<Vec<u8>, _>(3)?.into(), value };
    Ok((row, unsigned(left_out.unwrap_or_default())))
}

/// The bytes of a row's key and of the state that was read with it.
fn bytes_of(row: &SqliteRow) -> usize {
    let bytes = |column| row.try_get::<Option<&[u8]>, _>(column).ok().flatten().map_or(0, <[u8]>::len);
    bytes(0) + bytes(3)
}

fn key_of(database: i64, key: Vec<u8>) -> Result<MissingKey, StoreError> {
    let database = u8::try_from(database)
        .map_err(|_| StoreError::Damaged(format!("a row is of database {database}, which is none")))?;
    Ok(MissingKey { database, key: key.into() })
}

impl SqliteStore {
    /// As [`fetch`], of large values, which are read and made on the store's own runtime: the asking thread serves clients.
    pub(super) async fn fetch_large_keys(
        &self,
        keys: &[MissingKey],
        now: Timestamp,
    ) -> Result<Fetched, StoreError> {
        let (readers, keys) = (self.readers.clone(), keys.to_vec());
        let mut tasks = JoinSet::new();
        tasks.spawn_on(async move { fetch(&readers, &keys, now, usize::MAX).await }, &self.runtime);
        let lost = || Err(unavailable(sqlx::Error::WorkerCrashed));
        tasks.join_next().await.and_then(Result::ok).unwrap_or_else(lost)
    }

    pub(super) async fn scan_page(
        &self,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let query = sqlx::query(SCAN).bind(database).bind(key).bind(now_ms(now)).bind(rows);
        self.page(query, rows, now, false).await.map_err(unavailable)
    }

    pub(super) async fn written_page(
        &self,
        written: Written,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let query = sqlx::query(SCAN_WRITTEN)
            .bind(database)
            .bind(key)
            .bind(now_ms(now))
            .bind(rows)
            .bind(signed(written.behind))
            .bind(signed(written.up_to))
            .bind(written.with_gone);
        self.page(query, rows, now, written.with_gone).await.map_err(unavailable)
    }

    /// The page of what a scan finds of so many rows at most.
    async fn page(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        most_rows: u32,
        now: Timestamp,
        with_gone: bool,
    ) -> Result<Page, sqlx::Error> {
        let (mut size, mut found, mut left_out) = (PageSize::new(most_rows), Vec::new(), Vec::new());
        // One transaction, so that what was left out is read as it was then.
        let mut transaction = self.readers.begin().await?;
        let mut reading = query.fetch(&mut *transaction);
        while !size.is_full()
            && let Some(row) = reading.try_next().await?
        {
            let (scanned, bytes) = scanned(&row)?;
            size.add(bytes + u64::try_from(bytes_of(&row)).unwrap_or(u64::MAX));
            if bytes > 0 {
                left_out.push(found.len());
            }
            found.push(scanned);
        }
        drop(reading);
        for at in left_out {
            let ScannedRow { database, key, value } = &mut found[at];
            (*value, _) = fetch_value(&mut transaction, (*database, key), now, usize::MAX).await?;
        }
        transaction.rollback().await?;
        Ok(page_of(found.into_iter(), size.is_full(), with_gone))
    }

    pub(super) async fn flush_marks(&self) -> Result<Vec<(u8, u64)>, StoreError> {
        let marks: Vec<(i64, i64)> =
            sqlx::query_as(FLUSHED).fetch_all(&self.readers).await.map_err(unavailable)?;
        let mark = |(database, seq): (i64, i64)| Some((u8::try_from(database).ok()?, unsigned(seq)));
        Ok(marks.into_iter().filter_map(mark).collect())
    }

    pub(super) async fn count_live(&self, now: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(now_ms(now))
            .fetch_one(&self.readers)
            .await
            .map_err(unavailable)?;
        Ok(unsigned(count))
    }

    pub(super) async fn prune_rows(
        &self,
        after: Option<&MissingKey>,
        rows: u32,
        applied: u64,
        now: Timestamp,
    ) -> Result<Pruned, StoreError> {
        let (database, key) = place(after);
        let mut transaction = self.write().await?;
        let end: Option<(i64, Vec<u8>)> = sqlx::query_as(PRUNE_END)
            .bind(database)
            .bind(key)
            .bind(rows.max(1))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(unavailable)?;
        let (end_database, end_key) = end.as_ref().map_or(END, |(database, key)| (*database, key));
        let deleted = sqlx::query(PRUNE)
            .bind(database)
            .bind(key)
            .bind(end_database)
            .bind(end_key)
            .bind(signed(applied))
            .bind(now_ms(now))
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)?;
        let next = end.map(|(database, key)| key_of(database, key)).transpose()?;
        Ok(Pruned { deleted: deleted.rows_affected(), next })
    }
}
