//! Applying a batch to Postgres.

use std::sync::atomic::Ordering;

use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use super::closed::put_closed_periods;
use super::error::{unavailable, unclear};
use super::key::{indexed, long};
use super::owner::read_owner;
use super::probe::Refused;
use super::put::put_rows;
use super::{CALL_TIMEOUT, MAX_PATIENCE, PostgresStore, call_timeout, no_answer, within};
use crate::persist::batch::Batch;
use crate::persist::chain::{check, continued_by, refusal_of_found};
use crate::persist::rows::{rejected_of, signed, subject_of};
use crate::persist::store::{Applied, OwnerId, RejectedRecord, StoreError};
use crate::persist::told_epochs::batches_of;

/// Refused rows in one statement.
const CHUNK_ROWS: usize = 8_192;

const FLUSH: &str = "INSERT INTO flushed (database, epoch, seq)
    SELECT DISTINCT database, $2::bigint, $3::bigint FROM unnest($1::integer[]) AS r (database)
    ON CONFLICT (database) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq";

/// A row that was refused before and not taken since lacks what was changed then too. Of very many times all batches between are noted.
const REJECT: &str =
    "INSERT INTO rejected (database, key, period, long_key, subject, reason, rejected_at, epoch, seq, batches)
    SELECT r.database, r.key, r.period, r.long_key, r.subject, r.reason, clock_timestamp(), $6, $7, $8
    FROM unnest($1::integer[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $9::text[])
        AS r (database, key, long_key, subject, reason, period)
    ON CONFLICT (database, key, period) DO UPDATE SET reason = excluded.reason, rejected_at = excluded.rejected_at,
        epoch = excluded.epoch, seq = excluded.seq, batches = CASE WHEN rejected.epoch < excluded.epoch
            OR rejected.period = '' AND (
                EXISTS (SELECT 1 FROM entries AS e WHERE e.database = rejected.database AND e.key = rejected.key
                    AND (e.epoch, e.seq) > (rejected.epoch, rejected.seq))
                OR EXISTS (SELECT 1 FROM flushed AS f WHERE f.database = rejected.database
                    AND (f.epoch, f.seq) > (rejected.epoch, rejected.seq)))
            THEN excluded.batches
            WHEN length(rejected.batches) > 1000 THEN split_part(rejected.batches, '-', 1) || '-' || excluded.seq
            ELSE rejected.batches || ' ' || excluded.batches END";

/// What was refused under this number or a later one, and is not in the truth in a state from behind that, as no closed period ever is.
const REJECTED: &str = "SELECT r.database, r.key, r.long_key, r.period, r.reason FROM rejected AS r
    WHERE r.epoch = $1 AND r.seq >= $2 AND (r.period <> '' OR NOT EXISTS (SELECT 1 FROM entries AS e
        WHERE e.database = r.database AND e.key = r.key AND (e.epoch, e.seq) > (r.epoch, r.seq)))";

/// Rows are found by the primary key one by one, whatever the planner guesses of a batch and of a table that has just grown: a plan that
/// reads the whole table, or is compiled first, would take as long as a thousand batches.
pub(super) const FIND_BY_KEY: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
    SET LOCAL jit = off";

/// What is refused is refused by the statement that brings it, where the row is found; at the commit it would be the batch.
pub(super) const REFUSE_AT_ONCE: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Continues the chain on the owner row, in one round trip with what the batch sets for itself.
fn begin_of(batch: &Batch, owner: OwnerId) -> String {
    let continued = continued_by(batch);
    format!(
        "{FIND_BY_KEY}; {REFUSE_AT_ONCE}; UPDATE owner SET applied = {} WHERE epoch = {} AND owner = '{owner}' AND applied BETWEEN {} AND {}",
        signed(batch.seq),
        signed(batch.epoch),
        signed(*continued.start()),
        signed(*continued.end())
    )
}

/// Database, key in the index, long key, closed period, reason.
type RejectedColumns = (i32, Vec<u8>, Option<Vec<u8>>, String, String);

/// How many statements of a batch may be refused before its transaction is given up: each row that is refused costs a dozen by halving, and
/// each range that is accepted between two keeps a lock until the commit.
const FEW_REFUSALS: u32 = 64;

/// What is known to be refused, and how much more may be.
pub(super) struct Search {
    pub(super) refused: Refused,
    left: u32,
}

impl Search {
    /// Whether to go on behind a statement that was refused.
    pub(super) fn goes_on(&mut self) -> bool {
        let goes_on = self.left > 0;
        self.left = self.left.saturating_sub(1);
        goes_on
    }
}

/// What the owner row says to a batch.
enum Begun {
    /// It is continued in this transaction.
    Batch(Transaction<'static, Postgres>),
    /// It is not.
    Refused(Applied),
}

impl PostgresStore {
    pub(super) async fn apply_batch(&self, owner: OwnerId, batch: &Batch) -> Result<Applied, StoreError> {
        check(batch)?;
        let few = &mut Search { refused: Refused::default(), left: FEW_REFUSALS };
        if let Some(answer) = self.attempt(owner, batch, few).await? {
            return Ok(answer);
        }
        tracing::warn!(batch = batch.seq, "the truth refuses many rows, which are looked for one by one");
        let refused = match self.probe(batch).await {
            Ok(refused) => refused,
            // What takes too long to look for beside the batch may be found in its transaction, which has more time at each attempt.
            Err(StoreError::Unclear(_)) => Refused::default(),
            Err(error) => return Err(error),
        };
        let all = &mut Search { refused, left: u32::MAX };
        let answer = self.attempt(owner, batch, all).await?;
        answer.ok_or_else(|| StoreError::Unavailable("more rows are refused than can be counted".to_owned()))
    }

    /// Applies a batch, if the search for what is refused comes to its end.
    async fn attempt(
        &self,
        owner: OwnerId,
        batch: &Batch,
        search: &mut Search,
    ) -> Result<Option<Applied>, StoreError> {
        // A server that is gone is told from one that needs long for the rows.
        match within(CALL_TIMEOUT, self.begin_batch(owner, batch)).await? {
            Begun::Batch(transaction) => self.put_in_time(transaction, batch, search).await,
            Begun::Refused(refusal) => Ok(Some(refusal)),
        }
    }

    /// As [`put_batch`](Self::put_batch), within the time that so many rows have.
    async fn put_in_time(
        &self,
        transaction: Transaction<'static, Postgres>,
        batch: &Batch,
        search: &mut Search,
    ) -> Result<Option<Applied>, StoreError> {
        let rows = batch.records.len() + batch.closed_periods.len();
        let patience = self.patience.load(Ordering::Relaxed);
        let limit = call_timeout(rows, batch.weight()).saturating_mul(patience);
        match tokio::time::timeout(limit, self.put_batch(transaction, batch, search)).await {
            Ok(answer) => {
                if matches!(answer, Ok(Some(_))) {
                    self.patience.store(1, Ordering::Relaxed);
                }
                answer
            }
            Err(_) => {
                // Whatever makes the database slow, the next attempt has twice the time.
                self.patience.store(patience.saturating_mul(2).min(MAX_PATIENCE), Ordering::Relaxed);
                Err(no_answer(limit))
            }
        }
    }

    /// Continues the chain, if the owner row lets it.
    async fn begin_batch(&self, owner: OwnerId, batch: &Batch) -> Result<Begun, StoreError> {
        let mut transaction = self.begin().await?;
        // Numbers and an id need no parameters, which would take another round trip.
        let begin = sqlx::raw_sql(AssertSqlSafe(begin_of(batch, owner)));
        let moved = begin.execute(&mut *transaction).await.map_err(unavailable)?;
        if moved.rows_affected() > 0 {
            return Ok(Begun::Batch(transaction));
        }
        let row = read_owner(&mut transaction).await?;
        let mut refusal = refusal_of_found(&row, owner, batch)?;
        if let Applied::Before { rejected } = &mut refusal {
            *rejected = read_rejected(&mut transaction, batch).await?;
        }
        transaction.rollback().await.map_err(unavailable)?;
        Ok(Begun::Refused(refusal))
    }

    /// Puts all but what is refused. `None`: that is too much, and nothing is changed.
    async fn put_batch(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        batch: &Batch,
        search: &mut Search,
    ) -> Result<Option<Applied>, StoreError> {
        let Some(closed) = put_closed_periods(&mut transaction, batch, search).await? else {
            return Ok(None);
        };
        put_flushes(&mut transaction, batch).await?;
        let Some(rows) = put_rows(&mut transaction, batch, search).await? else { return Ok(None) };
        let rejected = [rows, closed].concat();
        put_rejected(&mut transaction, batch, &rejected).await?;
        transaction.commit().await.map_err(unclear)?;
        self.held.note_found((batch.epoch, batch.seq));
        Ok(Some(Applied::Whole { rejected }))
    }
}

async fn put_flushes(connection: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    if batch.flushed_databases.is_empty() {
        return Ok(());
    }
    let databases: Vec<i32> = batch.flushed_databases.iter().map(|&database| i32::from(database)).collect();
    let flush = sqlx::query(FLUSH).bind(databases).bind(signed(batch.epoch)).bind(signed(batch.seq));
    flush.persistent(false).execute(connection).await.map_err(unavailable)?;
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
            .bind(rejected.iter().map(|record| i32::from(record.database)).collect::<Vec<i32>>())
            .bind(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
            .bind(rejected.iter().map(|record| long(&record.key)).collect::<Vec<Option<&[u8]>>>())
            .bind(rejected.iter().map(|record| subject_of(&record.key)).collect::<Vec<Option<&str>>>())
            .bind(rejected.iter().map(|record| record.reason.as_str()).collect::<Vec<&str>>())
            .bind(signed(batch.epoch))
            .bind(signed(batch.seq))
            .bind(batches_of(batch))
            .bind(
                rejected
                    .iter()
                    .map(|record| record.period.as_deref().unwrap_or_default())
                    .collect::<Vec<&str>>(),
            )
            .persistent(false)
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

/// What was refused of a batch that was committed before.
async fn read_rejected(
    connection: &mut PgConnection,
    batch: &Batch,
) -> Result<Vec<RejectedRecord>, StoreError> {
    let rejected = sqlx::query_as(REJECTED).bind(signed(batch.epoch)).bind(signed(batch.first_seq));
    let rows: Vec<RejectedColumns> =
        rejected.persistent(false).fetch_all(connection).await.map_err(unavailable)?;
    rows.into_iter()
        .map(|(database, key, long, period, reason)| {
            rejected_of(database, long.unwrap_or(key), period, reason)
        })
        .collect()
}
