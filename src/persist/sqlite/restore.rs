//! Filling an empty SQLite file from a snapshot, and what of the rows was pruned.

use super::SqliteStore;
use super::error::{unavailable, unclear};
use super::owner::{millis, read_owner};
use crate::persist::claim::{empty_refusal, kept_holder};
use crate::persist::rows::{signed, unsigned};
use crate::persist::store::{DataSetId, OwnerId, Restore, Restoring, StoreError, Tenure};

const ROWS: &str = "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM closed_periods)";

/// Every table with data.
const EMPTY: &str = "DELETE FROM entries; DELETE FROM flushed; DELETE FROM closed_periods; DELETE FROM rejected; DELETE FROM refused_batches; DELETE FROM epochs";

const TAKE: &str =
    "UPDATE owner SET data_set = NULL, epoch = ?1, owner = ?2, holder = ?3, applied = ?4, pruned = ?4,
    lease_until_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?5";

/// When the epoch of the data began is known to nobody here: in 1970, so before whatever was cut in it.
const EPOCHS: &str = "INSERT INTO epochs (epoch, started_at_ms, first_seq, last_seq)
    VALUES (?1, 0, 1, ?3),
        (?2, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?3 + 1, NULL)";

const NAME: &str = "UPDATE owner SET data_set = ?3, lease_until_ms = NULL WHERE epoch = ?1 AND owner = ?2";

const SET_PRUNED: &str = "UPDATE owner SET pruned = ?1 WHERE pruned < ?1";

const PRUNED: &str = "SELECT pruned FROM owner";

impl SqliteStore {
    pub(super) async fn set_pruned(&self, up_to: u64) -> Result<(), StoreError> {
        let set = sqlx::query(SET_PRUNED).bind(signed(up_to));
        set.execute(&self.writer).await.map_err(unclear)?;
        Ok(())
    }

    pub(super) async fn pruned_number(&self) -> Result<u64, StoreError> {
        let pruned: i64 = sqlx::query_scalar(PRUNED).fetch_one(&self.readers).await.map_err(unavailable)?;
        Ok(unsigned(pruned))
    }

    pub(super) async fn make_empty(&self, restore: &Restore) -> Result<Restoring, StoreError> {
        let mut transaction = self.write().await?;
        let row = read_owner(&mut *transaction).await?;
        let rows: i64 = sqlx::query_scalar(ROWS).fetch_one(&mut *transaction).await.map_err(unavailable)?;
        if let Some(refusal) = empty_refusal(&row, unsigned(rows), restore) {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(refusal);
        }
        sqlx::raw_sql(EMPTY).execute(&mut *transaction).await.map_err(unavailable)?;
        let take = sqlx::query(TAKE)
            .bind(signed(restore.epoch))
            .bind(restore.owner.to_string())
            .bind(kept_holder(&restore.holder))
            .bind(signed(restore.applied))
            .bind(millis(restore.lease));
        take.execute(&mut *transaction).await.map_err(unavailable)?;
        let epochs = sqlx::query(EPOCHS)
            .bind(signed(restore.restored_epoch))
            .bind(signed(restore.epoch))
            .bind(signed(restore.applied));
        epochs.execute(&mut *transaction).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unclear)?;
        Ok(Restoring::Begun)
    }

    pub(super) async fn name_data(
        &self,
        epoch: u64,
        owner: OwnerId,
        data_set: DataSetId,
    ) -> Result<Tenure, StoreError> {
        let name = sqlx::query(NAME).bind(signed(epoch)).bind(owner.to_string()).bind(data_set.to_string());
        let named = name.execute(&self.writer).await.map_err(unclear)?;
        Ok(if named.rows_affected() == 1 { Tenure::Kept } else { Tenure::Fenced })
    }
}
