//! Finding the rows that the database refuses, before the transaction that applies their batch is tried again without them.
//!
//! In that transaction each statement that succeeds would keep a lock until the commit, and the owner row would be held all the while, which
//! may be a millisecond for each row that is refused: the lease could not be renewed. Here nothing is changed, and nothing is held: every
//! statement is rolled back at once.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use super::apply::{FIND_BY_KEY, REFUSE_AT_ONCE};
use super::closed::put_closed;
use super::error::{refusal_of_rows, unavailable};
use super::put::{CHUNK_ROWS, merge};
use super::{CALL_TIMEOUT, PostgresStore, call_timeout, within};
use crate::persist::batch::Batch;
use crate::persist::halves::Halves;
use crate::persist::rows::{ClosedRow, Row, Rows, closed_rows_of};
use crate::persist::store::StoreError;

/// A closed period: database, subject, budget, start in microseconds.
type Period = (u8, Box<[u8]>, String, i64);

/// The rows of a batch that are refused, with the reasons.
#[derive(Default)]
pub(super) struct Refused {
    rows: HashMap<(i32, Box<[u8]>), String>,
    periods: HashMap<Period, String>,
}

impl Refused {
    /// Why a row is refused; `None`: it is not.
    pub(super) fn row(&self, row: &Row<'_>) -> Option<&String> {
        // Mostly there are none, and nothing is made to look for one.
        if self.rows.is_empty() { None } else { self.rows.get(&(row.database, row.key.into())) }
    }

    /// Why a closed period is refused; `None`: it is not.
    pub(super) fn period(&self, row: &ClosedRow<'_>) -> Option<&String> {
        if self.periods.is_empty() { None } else { self.periods.get(&period_place(row)) }
    }
}

fn period_place(row: &ClosedRow<'_>) -> Period {
    (row.closed.database, row.closed.subject.clone(), row.limit_name.clone(), row.start_micros)
}

impl PostgresStore {
    /// Finds the rows of a batch that are refused by themselves; those that are only refused beside others of it are not found.
    pub(super) async fn probe(&self, batch: &Batch) -> Result<Refused, StoreError> {
        let mut transaction = within(CALL_TIMEOUT, self.begin_probe()).await?;
        let patience = self.patience.load(Ordering::Relaxed);
        let limit = |rows, bytes| call_timeout(rows, bytes).saturating_mul(patience);
        let mut refused = Refused::default();
        let periods = closed_rows_of(batch);
        for chunk in periods.chunks(CHUNK_ROWS) {
            let mut halves = Halves::of(chunk.len());
            while let Some(range) = halves.next() {
                let some = &chunk[range.clone()];
                let put = within(
                    limit(some.len(), 0),
                    tried(&mut transaction, async |connection: &mut PgConnection| {
                        put_closed(connection, batch, some).await.map(|_| ())
                    }),
                );
                if let Some(reason) = put.await?
                    && let Some(at) = halves.halve(range)
                {
                    refused.periods.insert(period_place(&chunk[at]), reason);
                }
            }
        }
        let mut rows = Rows::of(batch);
        loop {
            let chunk = rows.next_chunk(CHUNK_ROWS).await;
            if chunk.is_empty() {
                break;
            }
            let mut halves = Halves::of(chunk.len());
            while let Some(range) = halves.next() {
                let some = &chunk[range.clone()];
                let put = within(
                    limit(some.len(), some.iter().map(Row::state_bytes).sum()),
                    tried(&mut transaction, async |connection: &mut PgConnection| {
                        merge(connection, batch, some).await.map(|_| ())
                    }),
                );
                if let Some(reason) = put.await?
                    && let Some(at) = halves.halve(range)
                {
                    refused.rows.insert((chunk[at].database, chunk[at].key.into()), reason);
                }
            }
        }
        within(CALL_TIMEOUT, async { transaction.rollback().await.map_err(unavailable) }).await?;
        Ok(refused)
    }

    async fn begin_probe(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.begin().await?;
        let begin = format!("{FIND_BY_KEY}; {REFUSE_AT_ONCE}; SAVEPOINT probe");
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *transaction).await.map_err(unavailable)?;
        Ok(transaction)
    }
}

/// Runs a statement and takes it back; answers why it is refused, if it is.
async fn tried(
    connection: &mut PgConnection,
    statement: impl AsyncFnOnce(&mut PgConnection) -> Result<(), sqlx::Error>,
) -> Result<Option<String>, StoreError> {
    let refused = match statement(connection).await {
        Ok(()) => None,
        Err(error) => match refusal_of_rows(&error) {
            Some(reason) => Some(reason),
            None => return Err(unavailable(error)),
        },
    };
    sqlx::raw_sql("ROLLBACK TO SAVEPOINT probe").execute(connection).await.map_err(unavailable)?;
    Ok(refused)
}
