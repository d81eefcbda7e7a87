//! Scanning, counting and pruning in Postgres.

use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{PgConnection, Postgres};

use super::PostgresStore;
use super::error::{unavailable, unclear};
use super::key::{key_of, place};
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::rows::{PageSize, ScannedRow, now_ms, page_of, signed, stored_value, unsigned};
use crate::persist::store::{Page, Pruned, StoreError, Written};

/// The rows behind a place, with the bytes of each. Only of those that live is the value read, and of large rows, of which a page of as many
/// may not have the room, neither value nor long key.
const SCAN: &str = "SELECT r.database, r.key, CASE WHEN r.bytes <= 3276 THEN r.long_key END, r.lives,
        CASE WHEN r.lives AND r.bytes <= 3276 THEN r.state END, r.expires_at_ms, r.bytes
    FROM (
        SELECT e.*, coalesce(length(e.state), 0) + coalesce(length(e.long_key), 0) AS bytes,
            NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > $3)
                AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
        FROM (
            SELECT * FROM entries WHERE (database, key) > ($1, $2) AND database >= 0
            ORDER BY database, key LIMIT $4
        ) AS e LEFT JOIN flushed AS f ON f.database = e.database
    ) AS r
    ORDER BY r.database, r.key";

/// As [`SCAN`], of the rows that batches behind $5 up to $6 wrote; with those of keys that are gone, or not.
const SCAN_WRITTEN: &str = "SELECT r.database, r.key, CASE WHEN r.bytes <= 3276 THEN r.long_key END, r.lives,
        CASE WHEN r.lives AND r.bytes <= 3276 THEN r.state END, r.expires_at_ms, r.bytes
    FROM (
        SELECT e.database, e.key, e.long_key, e.state, e.expires_at_ms,
            coalesce(length(e.state), 0) + coalesce(length(e.long_key), 0) AS bytes,
            NOT e.deleted AND (e.expires_at_ms IS NULL OR e.expires_at_ms > $3)
                AND (f.database IS NULL OR (e.epoch, e.seq) >= (f.epoch, f.seq)) AS lives
        FROM entries AS e LEFT JOIN flushed AS f ON f.database = e.database
        WHERE (e.database, e.key) > ($1, $2) AND e.database >= 0 AND e.seq > $5 AND e.seq <= $6
    ) AS r WHERE r.lives OR $7 ORDER BY r.database, r.key LIMIT $4";

/// The bytes of a row that is read with its page, as the statements above have it: of 10,000 no more than a page may have.
const MAX_SCANNED_BYTES: u64 = 3_276;

/// What was left out of rows that are there, in their order.
const LEFT_OUT: &str = "SELECT e.long_key, e.state FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS k (database, key, place),
        LATERAL (SELECT long_key, state FROM entries WHERE database = k.database AND key = k.key LIMIT 1) AS e
    ORDER BY k.place";

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

/// Database, key in the index, long key, whether it lives, state, expiry, bytes.
type ScanColumns = (i32, Vec<u8>, Option<Vec<u8>>, bool, Option<Vec<u8>>, Option<i64>, i32);

fn scanned((database, key, long, lives, state, expires_at_ms, _): ScanColumns) -> ScannedRow {
    ScannedRow {
        database: database.into(),
        key: long.unwrap_or(key).into(),
        value: lives.then(|| stored_value(state.as_deref(), expires_at_ms)).transpose(),
    }
}

/// Long key, state.
type LeftOutColumns = (Option<Vec<u8>>, Option<Vec<u8>>);

fn bytes_of(row: &ScanColumns) -> u64 {
    unsigned(row.6.into())
}

/// Reads of large rows what a scan in the same transaction has left out.
async fn read_left_out(connection: &mut PgConnection, rows: &mut [ScanColumns]) -> Result<(), sqlx::Error> {
    let mut large: Vec<_> = rows.iter_mut().filter(|row| bytes_of(row) > MAX_SCANNED_BYTES).collect();
    if large.is_empty() {
        return Ok(());
    }
    let databases: Vec<_> = large.iter().map(|row| row.0).collect();
    let keys: Vec<_> = large.iter().map(|row| row.1.as_slice()).collect();
    let found: Vec<LeftOutColumns> =
        sqlx::query_as(LEFT_OUT).bind(databases).bind(keys).persistent(false).fetch_all(connection).await?;
    for (row, (long, state)) in large.iter_mut().zip(found) {
        (row.2, row.4) = (long, state);
    }
    Ok(())
}

impl PostgresStore {
    pub(super) async fn scan_page(
        &self,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let scan = sqlx::query_as(SCAN).bind(database).bind(&*key).bind(now_ms(now)).bind(i64::from(rows));
        self.page(scan, rows, false).await
    }

    pub(super) async fn written_page(
        &self,
        written: Written,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (database, key) = place(after);
        let scan = sqlx::query_as(SCAN_WRITTEN)
            .bind(database)
            .bind(&*key)
            .bind(now_ms(now))
            .bind(i64::from(rows))
            .bind(signed(written.behind))
            .bind(signed(written.up_to))
            .bind(written.with_gone);
        self.page(scan, rows, written.with_gone).await
    }

    /// The page of what a scan of so many rows at most finds.
    async fn page(
        &self,
        scan: QueryAs<'_, Postgres, ScanColumns, PgArguments>,
        most_rows: u32,
        with_gone: bool,
    ) -> Result<Page, StoreError> {
        let mut transaction = self.begin_with(&self.begin_repeatable).await?;
        let mut found = scan.persistent(false).fetch_all(&mut *transaction).await.map_err(unavailable)?;
        let mut size = PageSize::new(most_rows);
        let taken = found.iter().take_while(|row| {
            let has_room = !size.is_full();
            size.add(bytes_of(row));
            has_room
        });
        let taken = taken.count();
        found.truncate(taken);
        read_left_out(&mut transaction, &mut found).await.map_err(unavailable)?;
        drop(transaction);
        Ok(page_of(found.into_iter().map(scanned), size.is_full(), with_gone))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_leaves_out_what_is_read_later() {
        for statement in [SCAN, SCAN_WRITTEN] {
            assert_eq!(statement.matches(&format!("r.bytes <= {MAX_SCANNED_BYTES} ")).count(), 2);
        }
    }
}
