//! Fetching, scanning, counting and pruning in SQLite.

use super::SqliteStore;
use super::error::{unavailable, unclear};
use super::owner::read_owner;
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::record::Record;
use crate::persist::rows::{now_ms, signed, stored_value, unsigned};
use crate::persist::store::{Fetched, OwnerRow, Page, Pruned, StoreError, Written};

const FETCH: &str =
    "SELECT e.state, e.expires_at_ms FROM entries e LEFT JOIN flushed f ON f.database = e.database
    WHERE e.database = ?1 AND e.key = ?2 AND NOT e.deleted
        AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
        AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))";

/// The rows behind (?1, ?2) with whether they live at ?3; a first page begins before every row, at database -1.
const SCAN: &str = "SELECT e.database, e.key, e.state, e.expires_at_ms,
        NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
            AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq))
    FROM entries e LEFT JOIN flushed f ON f.database = e.database
    WHERE (e.database, e.key) > (?1, ?2) ORDER BY e.database, e.key LIMIT ?4";

/// As [`SCAN`], of the rows that batches behind ?5 up to ?6 wrote; with those of keys that are gone, or not.
const SCAN_WRITTEN: &str = "SELECT database, key, CASE WHEN lives THEN state END, expires_at_ms FROM (
        SELECT e.database, e.key, e.state, e.expires_at_ms,
            NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > ?3)
                AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
        FROM entries e LEFT JOIN flushed f ON f.database = e.database
        WHERE (e.database, e.key) > (?1, ?2) AND e.seq > ?5 AND e.seq <= ?6
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

type ScanColumns = (i64, Vec<u8>, Option<Vec<u8>>, Option<i64>, bool);

fn place(after: Option<&MissingKey>) -> (i64, &[u8]) {
    after.map_or((-1, &[]), |after| (i64::from(after.database), &after.key))
}

fn key_of(database: i64, key: Vec<u8>) -> Result<MissingKey, StoreError> {
    let database = u8::try_from(database)
        .map_err(|_| StoreError::Damaged(format!("a row is of database {database}, which is none")))?;
    Ok(MissingKey { database, key: key.into() })
}

impl SqliteStore {
    pub(super) async fn fetch_keys(
        &self,
        keys: &[MissingKey],
        now: Timestamp,
    ) -> Result<Fetched, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        // One transaction, so that all are read as of one point in time.
        let mut transaction = self.readers.begin().await.map_err(unavailable)?;
        let OwnerRow { epoch, applied, .. } = read_owner(&mut *transaction).await?;
        for MissingKey { database, key } in keys {
            let row: Option<(Vec<u8>, Option<i64>)> = sqlx::query_as(FETCH)
                .bind(database)
                .bind(&**key)
                .bind(now_ms(now))
                .fetch_optional(&mut *transaction)
                .await
                .map_err(unavailable)?;
            let value = row.map(|(state, expires)| stored_value((*database).into(), key, &state, expires));
            values.push(value.transpose()?);
        }
        transaction.rollback().await.map_err(unavailable)?;
        Ok(Fetched { epoch, applied, values })
    }

    pub(super) async fn scan_page(
        &self,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let found: Vec<ScanColumns> = sqlx::query_as(SCAN)
            .bind(database)
            .bind(key)
            .bind(now_ms(now))
            .bind(rows)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let whole = u32::try_from(found.len()).is_ok_and(|found| found >= rows);
        let mut page = Page::default();
        let mut last = None;
        for (database, key, state, expires_at_ms, lives) in found {
            let key = key_of(database, key)?;
            if let (true, Some(state)) = (lives, state) {
                let value = stored_value(key.database.into(), &key.key, &state, expires_at_ms)?;
                page.records.push(Record {
                    database: key.database,
                    key: key.key.clone(),
                    value: Some(value),
                });
            }
            last = Some(key);
        }
        page.next = last.filter(|_| whole);
        Ok(page)
    }

    pub(super) async fn written_page(
        &self,
        written: Written,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let found: Vec<(i64, Vec<u8>, Option<Vec<u8>>, Option<i64>)> = sqlx::query_as(SCAN_WRITTEN)
            .bind(database)
            .bind(key)
            .bind(now_ms(now))
            .bind(rows)
            .bind(signed(written.behind))
            .bind(signed(written.up_to))
            .bind(written.with_gone)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let whole = u32::try_from(found.len()).is_ok_and(|found| found >= rows);
        let mut page = Page::default();
        for (database, key, state, expires_at_ms) in found {
            let MissingKey { database, key } = key_of(database, key)?;
            let value =
                state.map(|state| stored_value(database.into(), &key, &state, expires_at_ms)).transpose()?;
            page.records.push(Record { database, key, value });
        }
        page.next = page.records.last().filter(|_| whole).map(Record::missing_key);
        Ok(page)
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
