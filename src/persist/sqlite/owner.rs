//! The owner row and the epochs in SQLite.

use std::time::Duration;

use sqlx::{SqliteConnection, SqliteExecutor};

use super::SqliteStore;
use super::error::{unavailable, unclear};
use crate::clock::Timestamp;
use crate::persist::claim::{judge, kept_holder};
use crate::persist::rows::{signed, unsigned};
use crate::persist::store::{
    Claim, Claimed, DataSetId, Epoch, EpochRow, Id, Lease, MAX_TOLD_EPOCHS, OwnerId, OwnerRow, StoreError,
    Tenure,
};
use crate::persist::told_epochs::{
    MAX_TOLD_REFUSALS, MOST_KEPT_REFUSALS, RefusedBatches, ToldEpochs, kept_refusals,
};

/// The owner row, with the milliseconds until its lease ends.
const OWNER: &str = "SELECT data_set, epoch, owner, holder, applied,
    lease_until_ms - CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM owner";

const TAKE: &str = "UPDATE owner SET epoch = ?1, data_set = coalesce(data_set, lower(hex(randomblob(16)))),
    owner = ?2, holder = ?3, lease_until_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
    RETURNING data_set";

const CLOSE_EPOCHS: &str = "UPDATE epochs SET last_seq = ? WHERE last_seq IS NULL";

const OPEN_EPOCH: &str = "INSERT INTO epochs (epoch, started_at_ms, first_seq)
    VALUES (?, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?)";

/// What an epoch that ends has had refused, and not taken since.
const REFUSED: &str = "SELECT r.batches FROM rejected AS r
    WHERE r.epoch = ?1 AND (r.period <> '' OR NOT EXISTS (SELECT 1 FROM entries AS e
            WHERE e.database = r.database AND e.key = r.key AND (e.epoch, e.seq) > (r.epoch, r.seq))
        AND NOT EXISTS (SELECT 1 FROM flushed AS f
            WHERE f.database = r.database AND (f.epoch, f.seq) > (r.epoch, r.seq)))
    GROUP BY r.batches ORDER BY max(r.seq) DESC LIMIT ?2";

const KEEP_REFUSED: &str =
    "INSERT OR IGNORE INTO refused_batches (epoch, first_seq, last_seq) VALUES (?, ?, ?)";

const REFUSED_BEFORE: &str = "SELECT epoch, first_seq, last_seq FROM refused_batches
    ORDER BY epoch DESC, last_seq DESC, first_seq DESC LIMIT ?1";

const SET_LEASE: &str = "UPDATE owner
    SET lease_until_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ? WHERE epoch = ? AND owner = ?";

const EPOCHS: &str =
    "SELECT epoch, started_at_ms, first_seq, last_seq FROM epochs ORDER BY epoch DESC LIMIT ?";

type OwnerColumns = (Option<String>, i64, Option<String>, String, i64, Option<i64>);

pub(super) async fn read_owner(executor: impl SqliteExecutor<'_>) -> Result<OwnerRow, StoreError> {
    let (data_set, epoch, owner, holder, applied, lease_left): OwnerColumns =
        sqlx::query_as(OWNER).fetch_one(executor).await.map_err(unavailable)?;
    Ok(OwnerRow {
        data_set: data_set.map(|text| id(&text)).transpose()?,
        epoch: unsigned(epoch),
        owner: owner.map(|text| id(&text)).transpose()?,
        holder,
        applied: unsigned(applied),
        lease: match lease_left {
            None => Lease::Free,
            Some(left) if left > 0 => Lease::Held(Duration::from_millis(unsigned(left))),
            Some(_) => Lease::Expired,
        },
    })
}

/// Notes which batches of an epoch that ends lack rows for good.
async fn keep_refused(connection: &mut SqliteConnection, epoch: u64) -> Result<(), StoreError> {
    let refused = sqlx::query_scalar(REFUSED).bind(signed(epoch)).bind(i64::from(MOST_KEPT_REFUSALS) + 1);
    let refused: Vec<String> = refused.fetch_all(&mut *connection).await.map_err(unavailable)?;
    for (first_seq, last_seq) in kept_refusals(&refused) {
        let keep = sqlx::query(KEEP_REFUSED).bind(signed(epoch)).bind(first_seq).bind(last_seq);
        keep.execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}

fn id(text: &str) -> Result<Id, StoreError> {
    Id::parse(text).ok_or_else(|| StoreError::Damaged(format!("'{text}' in the owner row is no id")))
}

pub(super) fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)
}

impl SqliteStore {
    pub(super) async fn known_data_set(&self) -> Result<Option<DataSetId>, StoreError> {
        let there = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'migrations'");
        let there: i64 = there.fetch_one(&self.readers).await.map_err(unavailable)?;
        if there == 0 { Ok(None) } else { Ok(self.owner_row().await?.data_set) }
    }

    pub(super) async fn owner_row(&self) -> Result<OwnerRow, StoreError> {
        read_owner(&self.readers).await
    }

    pub(super) async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let mut transaction = self.write().await?;
        let row = read_owner(&mut *transaction).await?;
        if let Err(refusal) = judge(&row, claim) {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(refusal);
        }
        keep_refused(&mut transaction, row.epoch).await?;
        let epoch = row.epoch + 1;
        let data_set: String = sqlx::query_scalar(TAKE)
            .bind(signed(epoch))
            .bind(claim.owner.to_string())
            .bind(kept_holder(&claim.holder))
            .bind(millis(claim.lease))
            .fetch_one(&mut *transaction)
            .await
            .map_err(unavailable)?;
        let close = sqlx::query(CLOSE_EPOCHS).bind(signed(row.applied));
        close.execute(&mut *transaction).await.map_err(unavailable)?;
        let open = sqlx::query(OPEN_EPOCH).bind(signed(epoch)).bind(signed(row.applied + 1));
        open.execute(&mut *transaction).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)?;
        Ok(Claimed::Epoch(Epoch { data_set: id(&data_set)?, epoch, applied: row.applied }))
    }

    /// Lets the lease end that much later than now; `None`: gives it up.
    pub(super) async fn set_lease(
        &self,
        epoch: u64,
        owner: OwnerId,
        lease: Option<Duration>,
    ) -> Result<Tenure, StoreError> {
        // A sum with NULL is NULL, which is a lease that was given up.
        let set = sqlx::query(SET_LEASE).bind(lease.map(millis)).bind(signed(epoch)).bind(owner.to_string());
        let set = set.execute(&self.writer).await.map_err(unclear)?;
        self.place.check()?;
        Ok(if set.rows_affected() == 1 { Tenure::Kept } else { Tenure::Fenced })
    }

    pub(super) async fn told_epochs(&self) -> Result<ToldEpochs, StoreError> {
        let rows: Vec<(i64, i64, i64, Option<i64>)> = sqlx::query_as(EPOCHS)
            .bind(MAX_TOLD_EPOCHS)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let refused: Vec<(i64, i64, i64)> = sqlx::query_as(REFUSED_BEFORE)
            .bind(MAX_TOLD_REFUSALS)
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let row = |(epoch, started_at_ms, first_seq, last_seq): (i64, i64, i64, Option<i64>)| EpochRow {
            epoch: unsigned(epoch),
            started_at: Timestamp::from_millis(unsigned(started_at_ms)),
            first_seq: unsigned(first_seq),
            last_seq: last_seq.map(unsigned),
        };
        let refused = refused.into_iter().map(|(epoch, first_seq, last_seq)| RefusedBatches {
            epoch: unsigned(epoch),
            first_seq: unsigned(first_seq),
            last_seq: unsigned(last_seq),
        });
        Ok(ToldEpochs::of(rows.into_iter().map(row).collect(), refused.collect()))
    }
}
