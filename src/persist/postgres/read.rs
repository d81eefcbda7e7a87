//! Scanning, counting and pruning in Postgres.

use super::PostgresStore;
use super::error::{unavailable, unclear};
use super::key::{key_of, place};
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::rows::{ScannedRow, now_ms, page_of, signed, stored_value, unsigned};
use crate::persist::store::{MAX_PAGE_BYTES, Page, Pruned, StoreError, Written};

/// The rows behind a place, up to the one with which they have $5 bytes; only of those that live is the value read.
const SCAN: &str = "SELECT r.database, r.key, r.long_key, r.lives,
        CASE WHEN r.lives THEN r.state END, r.expires_at_ms, r.bytes
    FROM (
        SELECT e.*, NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > $3)
            AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
        FROM (
            SELECT *, sum(own_bytes) OVER (ORDER BY database, key ROWS UNBOUNDED PRECEDING) AS bytes
            FROM (
                SELECT database, key, long_key, state, expires_at_ms, deleted, epoch, seq,
                    coalesce(length(state), 0) + coalesce(length(long_key), 0) AS own_bytes
                FROM entries WHERE (database, key) > ($1, $2) AND database >= 0
            ) AS sized ORDER BY database, key LIMIT $4
        ) AS e LEFT JOIN flushed AS f ON f.database = e.database
        WHERE e.bytes - e.own_bytes < $5
    ) AS r
    ORDER BY r.database, r.key";

/// As [`SCAN`], of the rows that batches behind $6 up to $7 wrote; with those of keys that are gone, or not.
const SCAN_WRITTEN: &str = "SELECT w.database, w.key, w.long_key, w.lives,
        CASE WHEN w.lives THEN w.state END, w.expires_at_ms, w.bytes
    FROM (
        SELECT r.*, sum(r.own_bytes) OVER (ORDER BY r.database, r.key ROWS UNBOUNDED PRECEDING) AS bytes
        FROM (
            SELECT e.database, e.key, e.long_key, e.state, e.expires_at_ms,
                coalesce(length(e.state), 0) + coalesce(length(e.long_key), 0) AS own_bytes,
                NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > $3)
                    AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
            FROM entries AS e LEFT JOIN flushed AS f ON f.database = e.database
            WHERE (e.database, e.key) > ($1, $2) AND e.database >= 0 AND e.seq > $6 AND e.seq <= $7
        ) AS r WHERE r.lives OR $8 ORDER BY r.database, r.key LIMIT $4
    ) AS w
    WHERE w.bytes - w.own_bytes < $5
    ORDER BY w.database, w.key";

const FLUSHED: &str = "SELECT database, seq FROM flushed ORDER BY database";

const COUNT: &str = "SELECT count(*) FROM entries AS e LEFT JOIN flushed AS f ON f.database = e.database
    WHERE NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > $1)
        AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))";

/// Where the rows to look at end.
const PRUNE_END: &str = "SELECT database, key, long_key FROM entries WHERE (database, key) > ($1, $2)
    ORDER BY database, key LIMIT 1 OFFSET $3 - 1";

/// Deletes what is dead behind ($1, $2) up to ($3, $4).
const PRUNE: &str =
    "DELETE FROM entries AS e WHERE (e.database, e.key) > ($1, $2) AND (e.database, e.key) <= ($3, $4)
    AND e.seq <= $5 AND (e.deleted OR e.expires_at_ms <= $6 OR EXISTS (SELECT FROM flushed AS f
        WHERE f.database = e.database AND (e.epoch, e.seq) < (f.epoch, f.seq)))";

/// Behind the last row: databases are bytes.
const END: (i32, &[u8]) = (256, &[]);

/// Database, key in the index, long key, whether it lives, state, expiry, the bytes of the page up to here.
type ScanColumns = (i32, Vec<u8>, Option<Vec<u8>>, bool, Option<Vec<u8>>, Option<i64>, i64);

/// What a statement has found that reads at most so many rows.
fn page(found: Vec<ScanColumns>, most_rows: u32, with_gone: bool) -> Page {
    let is_whole = u32::try_from(found.len()).is_ok_and(|found| found >= most_rows);
    let may_be_more = is_whole || found.last().is_some_and(|last| unsigned(last.6) >= MAX_PAGE_BYTES);
    page_of(found.into_iter().map(scanned), may_be_more, with_gone)
}

fn scanned((database, key, long, lives, state, expires_at_ms, _): ScanColumns) -> ScannedRow {
    ScannedRow {
        database: database.into(),
        key: long.unwrap_or(key).into(),
        value: lives.then(|| stored_value(state.as_deref(), expires_at_ms)).transpose(),
    }
}

impl PostgresStore {
    pub(super) async fn scan_page(
        &self,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let mut transaction = self.begin().await?;
        let found: Vec<ScanColumns> = sqlx::query_as(SCAN)
            .bind(database)
            .bind(&*key)
            .bind(now_ms(now))
            .bind(i64::from(rows))
            .bind(signed(MAX_PAGE_BYTES))
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable)?;
        drop(transaction);
        Ok(page(found, rows, false))
    }

    pub(super) async fn written_page(
        &self,
        written: Written,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let mut transaction = self.begin().await?;
        let found: Vec<ScanColumns> = sqlx::query_as(SCAN_WRITTEN)
            .bind(database)
            .bind(&*key)
            .bind(now_ms(now))
            .bind(i64::from(rows))
            .bind(signed(MAX_PAGE_BYTES))
            .bind(signed(written.behind))
            .bind(signed(written.up_to))
            .bind(written.with_gone)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable)?;
        drop(transaction);
        Ok(page(found, rows, written.with_gone))
    }

    pub(super) async fn flush_marks(&self) -> Result<Vec<(u8, u64)>, StoreError> {
        let mut transaction = self.begin().await?;
        let marks: Vec<(i32, i64)> = sqlx::query_as(FLUSHED)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable)?;
        transaction.rollback().await.map_err(unavailable)?;
        let mark = |(database, seq): (i32, i64)| Some((u8::try_from(database).ok()?, unsigned(seq)));
        Ok(marks.into_iter().filter_map(mark).collect())
    }

    pub(super) async fn count_live(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let count = sqlx::query_scalar(COUNT).bind(now_ms(now)).persistent(false);
        let count: i64 = count.fetch_one(&mut *transaction).await.map_err(unavailable)?;
        transaction.rollback().await.map_err(unavailable)?;
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
        let mut transaction = self.begin().await?;
        let end: Option<(i32, Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(PRUNE_END)
            .bind(database)
            .bind(&*key)
            .bind(i64::from(rows.max(1)))
            .persistent(false)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(unavailable)?;
        let (end_database, end_key) = end.as_ref().map_or(END, |(database, key, _)| (*database, key));
        let deleted = sqlx::query(PRUNE)
            .bind(database)
            .bind(&*key)
            .bind(end_database)
            .bind(end_key)
            .bind(signed(applied))
            .bind(now_ms(now))
            .persistent(false)
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)?;
        let next = end.map(|(database, key, long)| key_of(database, key, long)).transpose()?;
        Ok(Pruned { deleted: deleted.rows_affected(), next })
    }
}
