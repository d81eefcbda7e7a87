//! Filling an empty Postgres from a snapshot, and what of the rows was pruned.

use sqlx::PgConnection;

use super::PostgresStore;
use super::error::{unavailable, unclear};
use super::owner::{millis, read_owner};
use crate::persist::claim::{empty_refusal, kept_holder};
use crate::persist::rows::{signed, unsigned};
use crate::persist::store::{DataSetId, OwnerId, Restore, Restoring, StoreError, Tenure};

const LOCK_OWNER: &str = "SELECT id FROM owner FOR UPDATE";

const ROWS: &str = "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM closed_periods)";

/// Every table with data. TRUNCATE gives the room back at once, where DELETE would leave it to a vacuum.
const EMPTY: &str = "TRUNCATE entries, flushed, closed_periods, rejected, refused_batches, epochs";

const TAKE: &str =
    "UPDATE owner SET data_set = NULL, epoch = $1, owner = $2::uuid, holder = $3, applied = $4, pruned = $4,
    lease_until = clock_timestamp() + $5::bigint * interval '1 millisecond'";

/// When the epoch of the data began is known to nobody here: in 1970, so before whatever was cut in it.
const EPOCHS: &str = "INSERT INTO epochs (epoch, started_at, first_seq, last_seq)
    VALUES ($1, to_timestamp(0), 1, $3), ($2, clock_timestamp(), $3 + 1, NULL)";

const NAME: &str =
    "UPDATE owner SET data_set = $3::uuid, lease_until = NULL WHERE epoch = $1 AND owner = $2::uuid";

const SET_PRUNED: &str = "UPDATE owner SET pruned = $1 WHERE pruned < $1";

const PRUNED: &str = "SELECT pruned FROM owner";

impl PostgresStore {
    pub(super) async fn set_pruned(&self, up_to: u64) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let set = sqlx::query(SET_PRUNED).bind(signed(up_to)).persistent(false);
        set.execute(&mut *transaction).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)
    }

    pub(super) async fn pruned_number(&self) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let pruned = sqlx::query_scalar(PRUNED).persistent(false);
        let pruned: i64 = pruned.fetch_one(&mut *transaction).await.map_err(unavailable)?;
        transaction.rollback().await.map_err(unavailable)?;
        Ok(unsigned(pruned))
    }

    pub(super) async fn make_empty(&self, restore: &Restore) -> Result<Restoring, StoreError> {
        let mut transaction = self.begin().await?;
        let lock = sqlx::query(LOCK_OWNER).persistent(false);
        lock.execute(&mut *transaction).await.map_err(unavailable)?;
        let row = read_owner(&mut transaction).await?;
        let rows: i64 = sqlx::query_scalar(ROWS)
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await
            .map_err(unavailable)?;
        if let Some(refusal) = empty_refusal(&row, unsigned(rows), restore) {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(refusal);
        }
        begin(&mut transaction, restore).await?;
        transaction.commit().await.map_err(unclear)?;
        Ok(Restoring::Begun)
    }

    pub(super) async fn name_data(
        &self,
        epoch: u64,
        owner: OwnerId,
        data_set: DataSetId,
    ) -> Result<Tenure, StoreError> {
        let mut transaction = self.begin().await?;
        let name = sqlx::query(NAME).bind(signed(epoch)).bind(owner.to_string()).bind(data_set.to_string());
        let named = name.persistent(false).execute(&mut *transaction).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)?;
        Ok(if named.rows_affected() == 1 { Tenure::Kept } else { Tenure::Fenced })
    }
}

async fn begin(connection: &mut PgConnection, restore: &Restore) -> Result<(), StoreError> {
    sqlx::query(EMPTY).persistent(false).execute(&mut *connection).await.map_err(unavailable)?;
    let take = sqlx::query(TAKE)
        .bind(signed(restore.epoch))
        .bind(restore.owner.to_string())
        .bind(kept_holder(&restore.holder))
        .bind(signed(restore.applied))
        .bind(millis(restore.lease));
    take.persistent(false).execute(&mut *connection).await.map_err(unavailable)?;
    let epochs = sqlx::query(EPOCHS)
        .bind(signed(restore.restored_epoch))
        .bind(signed(restore.epoch))
        .bind(signed(restore.applied));
    epochs.persistent(false).execute(&mut *connection).await.map_err(unavailable)?;
    Ok(())
}
