//! Closed periods in Postgres: as batches bring them, and page by page as snapshots take them.

use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use super::apply::Search;
use super::error::{refusal_of_rows, unavailable};
use super::key::{indexed, is_indexed};
use crate::persist::batch::Batch;
use crate::persist::chain::DROPPED;
use crate::persist::closed::{ClosedPage, ClosedPlace, ClosedUntil, FoundClosed, closed_page_of};
use crate::persist::halves::Halves;
use crate::persist::rows::{ClosedRow, closed_rows_of, signed, subject_of};
use crate::persist::store::{RejectedRecord, StoreError};
use crate::persist::usage::readable_micros;

/// Closed periods in one statement.
const CHUNK_ROWS: usize = 8_192;

const CLOSE: &str =
    "INSERT INTO closed_periods (database, key, subject, limit_name, unit, period_start, period_end,
        month, used, maximum, epoch, seq)
    SELECT r.database, r.key, r.subject, r.limit_name, r.unit,
        timestamptz 'epoch' + r.period_start * interval '1 microsecond',
        timestamptz 'epoch' + r.period_end * interval '1 microsecond', r.month, r.used, r.maximum, $11, $12
    FROM unnest($1::integer[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
            $8::text[], $9::bigint[], $10::bigint[])
        AS r (database, key, subject, limit_name, unit, period_start, period_end, month, used, maximum)
    ON CONFLICT (database, key, limit_name, period_start) DO UPDATE SET period_end = excluded.period_end,
        used = excluded.used, maximum = excluded.maximum, epoch = excluded.epoch, seq = excluded.seq";

/// Of the rows that were to be put those that are not there as this batch has put them: counted from 1.
const MISSING: &str = "SELECT r.at
    FROM unnest($1::integer[], $2::bytea[], $3::text[], $4::bigint[]) WITH ORDINALITY
            AS r (database, key, limit_name, period_start, at)
        LEFT JOIN closed_periods AS c ON c.database = r.database AND c.key = r.key AND c.limit_name = r.limit_name
            AND c.period_start = timestamptz 'epoch' + r.period_start * interval '1 microsecond'
    WHERE c.key IS NULL OR (c.epoch, c.seq) <> ($5, $6)";

/// The rows behind ($1, $2, $3, $4) of batches up to $5, or of periods that ended by $6. The whole of a long key that is no text stands
/// with its entry alone. What was never, or is for ever, was not written by quotad.
const SCAN: &str = "SELECT c.database, c.key, c.subject, e.long_key, c.limit_name,
        (extract(epoch FROM c.period_start) * 1000000)::bigint, (extract(epoch FROM c.period_end) * 1000000)::bigint,
        c.used, c.maximum
    FROM (
        SELECT * FROM closed_periods
        WHERE (database, key, limit_name, period_start)
                > ($1, $2, $3, timestamptz 'epoch' + $4::bigint * interval '1 microsecond')
            AND (seq <= $5 OR period_end <= timestamptz 'epoch' + $6::bigint * interval '1 microsecond')
            AND isfinite(period_start) AND isfinite(period_end)
        ORDER BY database, key, limit_name, period_start LIMIT $7
    ) AS c LEFT JOIN entries AS e
        ON octet_length(c.key) > 1024 AND c.subject IS NULL AND e.database = c.database AND e.key = c.key
    ORDER BY c.database, c.key, c.limit_name, c.period_start";

/// Database, key in the index, subject, long key, name of the budget, start, end, used, maximum.
type Columns = (i32, Vec<u8>, Option<String>, Option<Vec<u8>>, String, i64, i64, i64, i64);

fn found(columns: Columns) -> FoundClosed {
    let (database, key, subject, long_key, limit_name, start_us, end_us, used, maximum) = columns;
    let whole =
        if is_indexed(&key) { Some(key.clone()) } else { subject.map(String::into_bytes).or(long_key) };
    FoundClosed {
        place: ClosedPlace { database: database.into(), key: key.into(), limit_name, start_us },
        subject: whole.map(Vec::into_boxed_slice),
        end_us,
        used,
        maximum,
    }
}

impl PostgresStore {
    pub(super) async fn closed_page(
        &self,
        until: ClosedUntil,
        after: Option<&ClosedPlace>,
        rows: u32,
    ) -> Result<ClosedPage, StoreError> {
        let first = ClosedPlace { database: -1, key: [].into(), limit_name: String::new(), start_us: 0 };
        let after = after.unwrap_or(&first);
        let mut transaction = self.begin().await?;
        let columns: Vec<Columns> = sqlx::query_as(SCAN)
            .bind(i32::try_from(after.database).unwrap_or(i32::MAX))
            .bind(&*after.key)
            .bind(&after.limit_name)
            .bind(after.start_us)
            .bind(signed(until.seq))
            .bind(signed(readable_micros(until.at)))
            .bind(i64::from(rows))
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable)?;
        drop(transaction);
        Ok(closed_page_of(columns.into_iter().map(found).collect(), rows))
    }
}

/// Puts the closed periods of a batch; answers what was refused. `None`: that is too much, and the transaction is to be given up.
pub(super) async fn put_closed_periods(
    connection: &mut PgConnection,
    batch: &Batch,
    search: &mut Search,
) -> Result<Option<Vec<RejectedRecord>>, StoreError> {
    let mut rows = closed_rows_of(batch);
    let mut rejected = Vec::new();
    rows.retain(|row| {
        let reason = search.refused.period(row);
        rejected.extend(reason.map(|reason| row.rejected(reason)));
        reason.is_none()
    });
    for chunk in rows.chunks(CHUNK_ROWS) {
        let mut halves = Halves::of(chunk.len());
        while let Some(range) = halves.next() {
            let some = &chunk[range.clone()];
            let mut savepoint = connection.begin().await.map_err(unavailable)?;
            match put_closed(&mut savepoint, batch, some).await {
                Ok(put) => {
                    if put < some.len() {
                        rejected.append(&mut dropped_rows(&mut savepoint, batch, some).await?);
                    }
                    savepoint.commit().await.map_err(unavailable)?;
                }
                Err(error) => {
                    let Some(reason) = refusal_of_rows(&error) else { return Err(unavailable(error)) };
                    if !search.goes_on() {
                        return Ok(None);
                    }
                    savepoint.rollback().await.map_err(unavailable)?;
                    rejected.extend(halves.halve(range).map(|at| chunk[at].rejected(&reason)));
                }
            }
        }
    }
    Ok(Some(rejected))
}

/// The rows that are not there although their statement was not refused: a trigger may have put them elsewhere.
async fn dropped_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[ClosedRow<'_>],
) -> Result<Vec<RejectedRecord>, StoreError> {
    let keys: Vec<_> = rows.iter().map(|row| indexed(&row.closed.subject)).collect();
    let missing: Vec<i64> = sqlx::query_scalar(MISSING)
        .bind(rows.iter().map(|row| i32::from(row.closed.database)).collect::<Vec<i32>>())
        .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
        .bind(rows.iter().map(|row| row.limit_name.as_str()).collect::<Vec<&str>>())
        .bind(rows.iter().map(|row| row.start_micros).collect::<Vec<i64>>())
        .bind(signed(batch.epoch))
        .bind(signed(batch.seq))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    let missing = missing.into_iter().map(|at| usize::try_from(at - 1).expect("rows are counted from 1"));
    Ok(missing.map(|at| rows[at].rejected(DROPPED)).collect())
}

/// Puts closed periods with one statement; answers how many.
pub(super) async fn put_closed(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: &[ClosedRow<'_>],
) -> Result<usize, sqlx::Error> {
    let keys: Vec<_> = rows.iter().map(|row| indexed(&row.closed.subject)).collect();
    let put = sqlx::query(CLOSE)
        .bind(rows.iter().map(|row| i32::from(row.closed.database)).collect::<Vec<i32>>())
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
        .bind(signed(batch.seq));
    let put = put.persistent(false).execute(connection).await?;
    Ok(usize::try_from(put.rows_affected()).unwrap_or(usize::MAX))
}
