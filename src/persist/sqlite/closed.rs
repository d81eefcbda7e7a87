//! Closed periods in SQLite: as batches bring them, and page by page as snapshots take them.

use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use super::error::{refusal_of_row, unavailable};
use crate::persist::batch::Batch;
use crate::persist::chain::DROPPED;
use crate::persist::closed::{ClosedPage, ClosedPlace, ClosedUntil, FoundClosed, closed_page_of};
use crate::persist::rows::{closed_rows_of, signed, subject_of};
use crate::persist::store::{RejectedRecord, StoreError};
use crate::persist::usage::readable_micros;

const CLOSE: &str = "INSERT INTO closed_periods (database, key, subject, limit_name, unit, period_start_us,
        period_end_us, month, used, maximum, epoch, seq)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (database, key, limit_name, period_start_us) DO UPDATE SET period_end_us = excluded.period_end_us,
        used = excluded.used, maximum = excluded.maximum, epoch = excluded.epoch, seq = excluded.seq";

/// The rows behind (?1, ?2, ?3, ?4) of batches up to ?5, or of periods that ended by ?6. SQLite keeps in any column whatever somebody has
/// written into it: what has another type than its column was not written by quotad, and its place in the order cannot be told.
const SCAN: &str = "SELECT database, key, limit_name, period_start_us, period_end_us, used, maximum
    FROM closed_periods WHERE (database, key, limit_name, period_start_us) > (?1, ?2, ?3, ?4)
        AND (seq <= ?5 OR period_end_us <= ?6)
        AND typeof(database) = 'integer' AND typeof(key) = 'blob' AND typeof(limit_name) = 'text'
        AND typeof(period_start_us) = 'integer' AND typeof(period_end_us) = 'integer'
        AND typeof(used) = 'integer' AND typeof(maximum) = 'integer'
    ORDER BY database, key, limit_name, period_start_us LIMIT ?7";

/// Database, key, name of the budget, start, end, used, maximum.
type Columns = (i64, Vec<u8>, String, i64, i64, i64, i64);

fn found((database, key, limit_name, start_us, end_us, used, maximum): Columns) -> FoundClosed {
    let key: Box<[u8]> = key.into();
    let place = ClosedPlace { database, key: key.clone(), limit_name, start_us };
    FoundClosed { place, subject: Some(key), end_us, used, maximum }
}

impl SqliteStore {
    pub(super) async fn closed_page(
        &self,
        until: ClosedUntil,
        after: Option<&ClosedPlace>,
        rows: u32,
    ) -> Result<ClosedPage, StoreError> {
        let first = ClosedPlace { database: -1, key: [].into(), limit_name: String::new(), start_us: 0 };
        let after = after.unwrap_or(&first);
        let columns: Vec<Columns> = sqlx::query_as(SCAN)
            .bind(after.database)
            .bind(&*after.key)
            .bind(&after.limit_name)
            .bind(after.start_us)
            .bind(signed(until.seq))
            .bind(signed(readable_micros(until.at)))
            .bind(rows)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        Ok(closed_page_of(columns.into_iter().map(found).collect(), rows))
    }
}

/// Puts the closed periods of a batch; answers those that were refused.
pub(super) async fn put_closed_periods(
    transaction: &mut Transaction<'_, Sqlite>,
    batch: &Batch,
) -> Result<Vec<RejectedRecord>, StoreError> {
    let mut rejected = Vec::new();
    for row in closed_rows_of(batch) {
        let put = sqlx::query(CLOSE)
            .bind(row.closed.database)
            .bind(&*row.closed.subject)
            .bind(subject_of(&row.closed.subject))
            .bind(&row.limit_name)
            .bind(row.closed.limit.unit.as_str())
            .bind(row.start_micros)
            .bind(row.end_micros)
            .bind(row.month.as_deref())
            .bind(row.used)
            .bind(row.maximum)
            .bind(signed(batch.epoch))
            .bind(signed(batch.seq));
        match put.execute(&mut **transaction).await {
            Ok(put) if put.rows_affected() > 0 => {}
            Ok(_) => rejected.push(row.rejected(DROPPED)),
            // A statement that is refused has undone itself.
            Err(error) => match refusal_of_row(&error) {
                Some(reason) => rejected.push(row.rejected(&reason)),
                None => return Err(unavailable(error)),
            },
        }
    }
    Ok(rejected)
}
