//! Applying a batch to Postgres.

use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use super::error::{refusal_of_rows, unavailable, unclear};
use super::key::{indexed, long};
use super::owner::read_owner;
use crate::persist::batch::Batch;
use crate::persist::chain::{check, overtaken, refusal};
use crate::persist::rows::{Row, chunks, closed_rows_of, rows_of, signed, subject_of};
use crate::persist::store::{Applied, OwnerId, RejectedRecord, StoreError};

/// Rows in one statement: few round trips, and where one is refused it is found in 14 halvings.
const CHUNK_ROWS: usize = 8_192;

const CONTINUE: &str =
    "UPDATE owner SET applied = $1 WHERE epoch = $2 AND owner = $3::uuid AND applied = $1 - 1";

/// One statement and one plan for any amount of rows: each column is an array. Mostly every key of a batch has its row, and changing
/// rows by a join takes two thirds of the time of an upsert, which looks for a conflict row by row.
const CHANGE: &str = "UPDATE entries AS e SET type = r.type, state = r.state, expires_at_ms = r.expires_at_ms,
        usage = r.usage::json, deleted = r.state IS NULL, epoch = $9, seq = $10
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], $8::text[])
        AS r (database, key, long_key, type, state, expires_at_ms, usage, subject)
    WHERE e.database = r.database AND e.key = r.key AND (e.epoch, e.seq) < ($9, $10)";

/// The rows of the same arrays that are not there yet.
const INSERT: &str = "INSERT INTO entries (database, key, long_key, type, state, expires_at_ms, usage, subject,
        deleted, epoch, seq)
    SELECT r.database, r.key, r.long_key, r.type, r.state, r.expires_at_ms, r.usage::json, r.subject,
        r.state IS NULL, $9, $10
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], $8::text[])
        AS r (database, key, long_key, type, state, expires_at_ms, usage, subject)
    WHERE NOT EXISTS (SELECT FROM entries AS e WHERE e.database = r.database AND e.key = r.key)";

const FLUSH: &str = "INSERT INTO flushed (database, epoch, seq)
    SELECT DISTINCT database, $2::bigint, $3::bigint FROM unnest($1::smallint[]) AS r (database)
    ON CONFLICT (database) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq";

const CLOSE: &str =
    "INSERT INTO closed_periods (database, key, subject, limit_name, unit, period_start, period_end,
        month, used, maximum, epoch, seq)
    SELECT r.database, r.key, r.subject, r.limit_name, r.unit,
        timestamptz 'epoch' + r.period_start * interval '1 microsecond',
        timestamptz 'epoch' + r.period_end * interval '1 microsecond', r.month, r.used, r.maximum, $11, $12
    FROM unnest($1::smallint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
            $8::text[], $9::bigint[], $10::bigint[])
        AS r (database, key, subject, limit_name, unit, period_start, period_end, month, used, maximum)
    ON CONFLICT (database, key, limit_name, period_start) DO UPDATE SET period_end = excluded.period_end,
        used = excluded.used, maximum = excluded.maximum, epoch = excluded.epoch, seq = excluded.seq";

const REJECT: &str =
    "INSERT INTO rejected (database, key, long_key, subject, reason, rejected_at, epoch, seq)
    SELECT r.database, r.key, r.long_key, r.subject, r.reason, clock_timestamp(), $6, $7
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[], $5::text[])
        AS r (database, key, long_key, subject, reason)
    ON CONFLICT (database, key) DO UPDATE SET reason = excluded.reason, rejected_at = excluded.rejected_at,
        epoch = excluded.epoch, seq = excluded.seq";

impl PostgresStore {
    pub(super) async fn apply_batch(&self, owner: OwnerId, batch: &Batch) -> Result<Applied, StoreError> {
        check(batch)?;
        let (rows, mut rejected) = rows_of(batch);
        let mut transaction = self.begin().await?;
        let moved = sqlx::query(CONTINUE)
            .bind(signed(batch.seq))
            .bind(signed(batch.epoch))
            .bind(owner.to_string())
            .persistent(false)
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        if moved.rows_affected() == 0 {
            let row = read_owner(&mut transaction).await?;
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(refusal(&row, owner, batch));
        }
        put_closed_periods(&mut transaction, batch).await?;
        put_flushes(&mut transaction, batch).await?;
        put_rows(&mut transaction, batch, &rows, &mut rejected).await?;
        put_rejected(&mut transaction, batch, &rejected).await?;
        transaction.commit().await.map_err(unclear)?;
        Ok(Applied::Whole { rejected })
    }
}

/// Puts all rows, each chunk under a savepoint; a row that is refused is found by halving its chunk.
async fn put_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[Row<'_>],
    rejected: &mut Vec<RejectedRecord>,
) -> Result<(), StoreError> {
    let mut ranges = chunks(rows, CHUNK_ROWS);
    while let Some(range) = ranges.pop() {
        let mut savepoint = connection.begin().await.map_err(unavailable)?;
        match put_chunk(&mut savepoint, batch, &rows[range.clone()]).await {
            Ok(put) => {
                let asked = u64::try_from(range.len()).expect("a length fits 64 bits");
                if put < asked {
                    return Err(overtaken(batch, asked - put));
                }
                savepoint.commit().await.map_err(unavailable)?;
            }
            Err(error) => {
                let Some(reason) = refusal_of_rows(&error) else { return Err(unavailable(error)) };
                savepoint.rollback().await.map_err(unavailable)?;
                if range.len() == 1 {
                    rejected.push(rows[range.start].rejected(reason));
                } else {
                    // The second half, then the first: a stack gives the first one next.
                    let middle = range.start.midpoint(range.end);
                    ranges.extend([middle..range.end, range.start..middle]);
                }
            }
        }
    }
    Ok(())
}

/// How many rows were changed or inserted: fewer than there are where the truth has a newer one.
async fn put_chunk(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<u64, sqlx::Error> {
    let changed = run_on_rows(connection, CHANGE, batch, rows).await?;
    if u64::try_from(rows.len()).is_ok_and(|asked| asked == changed) {
        return Ok(changed);
    }
    Ok(changed + run_on_rows(connection, INSERT, batch, rows).await?)
}

async fn run_on_rows(
    connection: &mut PgConnection,
    sql: &'static str,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<u64, sqlx::Error> {
    let keys: Vec<_> = rows.iter().map(|row| indexed(row.key)).collect();
    let done = sqlx::query(sql)
        .bind(rows.iter().map(|row| row.database).collect::<Vec<i16>>())
        .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
        .bind(rows.iter().map(|row| long(row.key)).collect::<Vec<Option<&[u8]>>>())
        .bind(rows.iter().map(|row| row.kind).collect::<Vec<Option<&str>>>())
        .bind(rows.iter().map(|row| row.state.as_deref()).collect::<Vec<Option<&[u8]>>>())
        .bind(rows.iter().map(|row| row.expires_at_ms).collect::<Vec<Option<i64>>>())
        .bind(rows.iter().map(|row| row.usage.as_deref()).collect::<Vec<Option<&str>>>())
        .bind(rows.iter().map(|row| row.subject).collect::<Vec<Option<&str>>>())
        .bind(signed(batch.epoch))
        .bind(signed(batch.seq))
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

async fn put_flushes(connection: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    if batch.flushed_databases.is_empty() {
        return Ok(());
    }
    let databases: Vec<i16> = batch.flushed_databases.iter().map(|&database| i16::from(database)).collect();
    let flush = sqlx::query(FLUSH).bind(databases).bind(signed(batch.epoch)).bind(signed(batch.seq));
    flush.persistent(false).execute(connection).await.map_err(unavailable)?;
    Ok(())
}

async fn put_closed_periods(connection: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    let rows = closed_rows_of(batch);
    for rows in rows.chunks(CHUNK_ROWS) {
        let keys: Vec<_> = rows.iter().map(|row| indexed(&row.closed.subject)).collect();
        sqlx::query(CLOSE)
            .bind(rows.iter().map(|row| i16::from(row.closed.database)).collect::<Vec<i16>>())
            .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
            .bind(rows.iter().map(|row| subject_of(&row.closed.subject)).collect::<Vec<Option<&str>>>())
            .bind(rows.iter().map(|row| row.limit_name.as_str()).collect::<Vec<&str>>())
            .bind(rows.iter().map(|row| row.closed.limit.unit.as_str()).collect::<Vec<&str>>())
            .bind(rows.iter().map(|row| row.start_micros).collect::<Vec<i64>>())
            .bind(rows.iter().map(|row| row.end_micros).collect::<Vec<i64>>())
            .bind(rows.iter().map(|row| row.month.as_deref()).collect::<Vec<Option<&str>>>())
            .bind(rows.iter().map(|row| row.used).collect::<Vec<i64>>())
            .bind(rows.iter().map(|row| row.maximum).collect::<Vec<i64>>())
            .bind(signed(batch.epoch))
            .bind(signed(batch.seq))
            .persistent(false)
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

async fn put_rejected(
    connection: &mut PgConnection,
    batch: &Batch,
    rejected: &[RejectedRecord],
) -> Result<(), StoreError> {
    for rejected in rejected.chunks(CHUNK_ROWS) {
        let keys: Vec<_> = rejected.iter().map(|record| indexed(&record.key)).collect();
        sqlx::query(REJECT)
            .bind(rejected.iter().map(|record| i16::from(record.database)).collect::<Vec<i16>>())
            .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
            .bind(rejected.iter().map(|record| long(&record.key)).collect::<Vec<Option<&[u8]>>>())
            .bind(rejected.iter().map(|record| subject_of(&record.key)).collect::<Vec<Option<&str>>>())
            .bind(rejected.iter().map(|record| record.reason.as_str()).collect::<Vec<&str>>())
            .bind(signed(batch.epoch))
            .bind(signed(batch.seq))
            .persistent(false)
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}
