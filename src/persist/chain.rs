//! What the owner row says to a batch that did not continue the chain: the one rule of all stores.

use super::batch::Batch;
use super::store::{Applied, OwnerId, OwnerRow, StoreError};

/// Why the owner row was not changed for `batch`.
pub(super) fn refusal(row: &OwnerRow, owner: OwnerId, batch: &Batch) -> Applied {
    if row.epoch != batch.epoch || row.owner != Some(owner) {
        Applied::Fenced
    } else if row.applied >= batch.seq {
        Applied::Before
    } else {
        Applied::Gap { applied: row.applied }
    }
}

/// Checks what every store relies on.
pub(super) fn check(batch: &Batch) -> Result<(), StoreError> {
    if batch.is_sorted() {
        return Ok(());
    }
    Err(StoreError::Denied(format!(
        "the records of batch {} are not in the order of (database, key), each key once",
        batch.seq
    )))
}

/// Rows of the truth were newer than a batch of the live epoch.
pub(super) fn overtaken(batch: &Batch, refused: u64) -> StoreError {
    StoreError::Damaged(format!(
        "{refused} rows are newer than batch {} of epoch {}, which continues the chain",
        batch.seq, batch.epoch
    ))
}
