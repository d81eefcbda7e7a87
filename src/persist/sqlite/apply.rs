//! Applying a batch to SQLite.

use std::sync::{Arc, LazyLock};

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, Transaction};

use super::SqliteStore;
use super::closed::put_closed_periods;
use super::error::{refusal_of_row, unavailable, unclear};
use super::owner::read_owner;
use crate::persist::batch::Batch;
use crate::persist::chain::{DROPPED, check, continued_by, dropped, refusal_of_found};
use crate::persist::halves::Halves;
use crate::persist::rows::{Row, Rows, rejected_of, signed, subject_of, unsigned};
use crate::persist::store::{Applied, OwnerId, RejectedRecord, StoreError};
use crate::persist::told_epochs::batches_of;

/// Rows in one statement: more gain nothing, and fewer are tried again where one is refused.
const CHUNK_ROWS: usize = 128;

const CONTINUE: &str =
    "UPDATE owner SET applied = ?1 WHERE epoch = ?2 AND owner = ?3 AND applied BETWEEN ?4 AND ?5";

const FLUSH: &str = "INSERT INTO flushed (database, epoch, seq) VALUES (?, ?, ?)
    ON CONFLICT (database) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq";

/// A row that was refused before and not taken since lacks what was changed then too. Of very many times all batches between are noted.
const REJECT: &str = "INSERT INTO rejected (database, key, period, subject, reason, rejected_at_ms, epoch, seq, batches)
    VALUES (?, ?, ?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?, ?, ?)
    ON CONFLICT (database, key, period) DO UPDATE SET reason = excluded.reason, rejected_at_ms = excluded.rejected_at_ms,
        epoch = excluded.epoch, seq = excluded.seq, batches = CASE WHEN rejected.epoch < excluded.epoch
            OR rejected.period = '' AND (
                EXISTS (SELECT 1 FROM entries AS e WHERE e.database = rejected.database AND e.key = rejected.key
                    AND (e.epoch, e.seq) > (rejected.epoch, rejected.seq))
                OR EXISTS (SELECT 1 FROM flushed AS f WHERE f.database = rejected.database
                    AND (f.epoch, f.seq) > (rejected.epoch, rejected.seq)))
            THEN excluded.batches
            WHEN length(rejected.batches) > 1000 THEN substr(rejected.batches, 1, instr(rejected.batches, '-')) || excluded.seq
            ELSE rejected.batches || ' ' || excluded.batches END";

/// What was refused under this number or a later one, and is not in the truth in a state from behind that, as no closed period ever is.
const REJECTED: &str = "SELECT r.database, r.key, r.period, r.reason FROM rejected AS r
    WHERE r.epoch = ? AND r.seq >= ? AND (r.period <> '' OR NOT EXISTS (SELECT 1 FROM entries AS e
        WHERE e.database = r.database AND e.key = r.key AND (e.epoch, e.seq) > (r.epoch, r.seq)))";

/// Which batch has written a row.
const WRITTEN: &str = "SELECT epoch, seq FROM entries WHERE database = ? AND key = ?";

/// The statement for a whole chunk, which is prepared once.
static UPSERT_CHUNK: LazyLock<Arc<str>> = LazyLock::new(|| upsert(CHUNK_ROWS).into());

/// Epoch and number are the first two parameters, then each row has seven. None is numbered: sqlx asks SQLite for the name of each that it
/// binds, and SQLite looks through all names for it.
fn upsert(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO entries (epoch, seq, database, key, type, state, expires_at_ms, usage, subject, deleted)
        SELECT ?, ?, column1, column2, column3, column4, column5, column6, column7, column4 IS NULL FROM (VALUES ",
    );
    for row in 0..rows {
        sql.push_str(if row == 0 { "(?, ?, ?, ?, ?, ?, ?)" } else { ", (?, ?, ?, ?, ?, ?, ?)" });
    }
    // Without a condition SQLite would take the conflict for one of a join.
    sql.push_str(
        ") WHERE true ON CONFLICT (database, key) DO UPDATE SET type = excluded.type, state = excluded.state,
            expires_at_ms = excluded.expires_at_ms, usage = excluded.usage, deleted = excluded.deleted,
            epoch = excluded.epoch, seq = excluded.seq
        WHERE (entries.epoch, entries.seq) < (excluded.epoch, excluded.seq)",
    );
    sql
}

impl SqliteStore {
    pub(super) async fn apply_batch(&self, owner: OwnerId, batch: &Batch) -> Result<Applied, StoreError> {
        check(batch)?;
        let mut rows = Rows::of(batch);
        let mut rejected = Vec::new();
        let continued = continued_by(batch);
        let mut transaction = self.write().await?;
        let moved = sqlx::query(CONTINUE)
            .bind(signed(batch.seq))
            .bind(signed(batch.epoch))
            .bind(owner.to_string())
            .bind(signed(*continued.start()))
            .bind(signed(*continued.end()))
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        if moved.rows_affected() == 0 {
            let row = read_owner(&mut *transaction).await?;
            let mut refusal = refusal_of_found(&row, owner, batch)?;
            if let Applied::Before { rejected } = &mut refusal {
                *rejected = read_rejected(&mut transaction, batch).await?;
            }
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(refusal);
        }
        let closed = put_closed_periods(&mut transaction, batch).await?;
        for &database in &batch.flushed_databases {
            let flush = sqlx::query(FLUSH).bind(database).bind(signed(batch.epoch)).bind(signed(batch.seq));
            flush.execute(&mut *transaction).await.map_err(unavailable)?;
        }
        let mut chunk = rows.next_chunk(CHUNK_ROWS).await;
        while !chunk.is_empty() {
            let put = put_rows(&mut transaction, batch, &chunk, &mut rejected);
            let (put, next) = tokio::join!(put, rows.next_chunk(CHUNK_ROWS));
            put?;
            chunk = next;
        }
        rejected.append(&mut rows.rejected);
        rejected.extend(closed);
        put_rejected(&mut transaction, batch, &rejected).await?;
        transaction.commit().await.map_err(unclear)?;
        self.place.check()?;
        Ok(Applied::Whole { rejected })
    }
}

/// Puts all rows; one that is refused is found by halving its chunk, whose statement has undone itself.
async fn put_rows(
    transaction: &mut Transaction<'_, Sqlite>,
    batch: &Batch,
    rows: &[Row<'_>],
    rejected: &mut Vec<RejectedRecord>,
) -> Result<(), StoreError> {
    let mut halves = Halves::of(rows.len());
    while let Some(range) = halves.next() {
        match put_chunk(transaction, batch, &rows[range.clone()]).await {
            Ok(put) => {
                let asked = u64::try_from(range.len()).expect("a length fits 64 bits");
                if put < asked {
                    rejected.append(&mut dropped_rows(transaction, batch, &rows[range]).await?);
                }
            }
            Err(error) => match refusal_of_row(&error) {
                None => return Err(unavailable(error)),
                Some(reason) => rejected.extend(halves.halve(range).map(|at| rows[at].rejected(reason))),
            },
        }
    }
    Ok(())
}

/// The rows that are not there although their statement was not refused.
async fn dropped_rows(
    connection: &mut SqliteConnection,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<Vec<RejectedRecord>, StoreError> {
    let mut others = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let written: Option<(i64, i64)> = sqlx::query_as(WRITTEN)
            .bind(row.database)
            .bind(row.key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(unavailable)?;
        let written = written.map(|(epoch, seq)| (unsigned(epoch), unsigned(seq)));
        if written != Some((batch.epoch, batch.seq)) {
            others.push((at, written));
        }
    }
    let dropped = dropped(batch, others.into_iter())?;
    Ok(dropped.into_iter().map(|at| rows[at].rejected(DROPPED.to_owned())).collect())
}

async fn put_chunk(
    connection: &mut SqliteConnection,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<u64, sqlx::Error> {
    let whole = rows.len() == CHUNK_ROWS;
    let sql = if whole { Arc::clone(&UPSERT_CHUNK) } else { upsert(rows.len()).into() };
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(whole);
    query = query.bind(signed(batch.epoch)).bind(signed(batch.seq));
    for row in rows {
        query = query
            .bind(row.database)
            .bind(row.key)
            .bind(row.kind)
            .bind(row.state)
            .bind(row.expires_at_ms)
            .bind(row.usage.as_deref())
            .bind(row.subject);
    }
    Ok(query.execute(connection).await?.rows_affected())
}

async fn put_rejected(
    transaction: &mut Transaction<'_, Sqlite>,
    batch: &Batch,
    rejected: &[RejectedRecord],
) -> Result<(), StoreError> {
    for record in rejected {
        sqlx::query(REJECT)
            .bind(record.database)
            .bind(&*record.key)
            .bind(record.period.as_deref().unwrap_or_default())
            .bind(subject_of(&record.key))
            .bind(&record.reason)
            .bind(signed(batch.epoch))
            .bind(signed(batch.seq))
            .bind(batches_of(batch))
            .execute(&mut **transaction)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

/// What was refused of a batch that was committed before.
async fn read_rejected(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<Vec<RejectedRecord>, StoreError> {
    let rows: Vec<(i32, Vec<u8>, String, String)> = sqlx::query_as(REJECTED)
        .bind(signed(batch.epoch))
        .bind(signed(batch.first_seq))
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    rows.into_iter()
        .map(|(database, key, period, reason)| rejected_of(database, key, period, reason))
        .collect()
}
