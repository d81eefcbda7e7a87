//! Closed periods in Postgres: as batches bring them, and page by page as snapshots take them.

use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use super::error::{refusal_of_rows, unavailable};
use super::key::{indexed, is_indexed};
use crate::persist::batch::Batch;
use crate::persist::chain::DROPPED;
use crate::persist::closed::{ClosedPage, ClosedPlace, ClosedUntil, FoundClosed, closed_page_of};
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

/// Puts the closed periods of a batch; answers those that were refused, which are found by halving.
pub(super) async fn put_closed_periods(
    connection: &mut PgConnection,
    batch: &Batch,
) -> Result<Vec<RejectedRecord>, StoreError> {
    let rows = closed_rows_of(batch);
    let mut rejected = Vec::new();
    let mut chunks: Vec<&[ClosedRow<'_>]> = rows.chunks(CHUNK_ROWS).collect();
    while let Some(chunk) = chunks.pop() {
        let mut savepoint = connection.begin().await.map_err(unavailable)?;
        let reason = match put_chunk(&mut savepoint, batch, chunk).await {
            Ok(put) if put == chunk.len() => {
                savepoint.commit().await.map_err(unavailable)?;
                continue;
            }
            // A trigger may have put it elsewhere.
            Ok(_) if chunk.len() == 1 => {
                savepoint.commit().await.map_err(unavailable)?;
                rejected.extend(chunk.iter().map(|row| row.rejected(DROPPED)));
                continue;
            }
            Ok(_) => DROPPED.to_owned(),
            Err(error) => match refusal_of_rows(&error) {
                Some(reason) => reason,
                None => return Err(unavailable(error)),
            },
        };
        savepoint.rollback().await.map_err(unavailable)?;
        if let [row] = chunk {
            rejected.push(row.rejected(&reason));
        } else {
            let (first, second) = chunk.split_at(chunk.len() / 2);
            chunks.extend([second, first]);
        }
    }
    Ok(rejected)
}

async fn put_chunk(
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
