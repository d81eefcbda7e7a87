//! Which batches continue the chain, and what the owner row says to the others: the one rule of all stores.

use std::ops::RangeInclusive;

use super::batch::Batch;
use super::store::{Applied, OwnerId, OwnerRow, StoreError};

/// The numbers, of the last batch that was applied, that `batch` continues: that before its first one up to that before its own.
///
/// The first parts of a merged batch may have been committed by themselves, by a call whose answer was lost. What it holds is the
/// state behind all of them, under a higher number, so it is right whichever of them were.
pub(super) fn continued_by(batch: &Batch) -> RangeInclusive<u64> {
    batch.first_seq - 1..=batch.seq - 1
}

/// Why the owner row is not changed for `batch`; `None`: it continues the chain. What was refused of one that was applied before is
/// for the store to tell, which alone knows it.
pub(super) fn refusal(row: &OwnerRow, owner: OwnerId, batch: &Batch) -> Option<Applied> {
    if row.epoch != batch.epoch || row.owner != Some(owner) {
        Some(Applied::Fenced)
    } else if row.applied >= batch.seq {
        Some(Applied::Before { rejected: Vec::new() })
    } else if !continued_by(batch).contains(&row.applied) {
        Some(Applied::Gap { applied: row.applied })
    } else {
        None
    }
}

/// As [`refusal`], where the database has found the row to be one that is not continued.
pub(super) fn refusal_of_found(row: &OwnerRow, owner: OwnerId, batch: &Batch) -> Result<Applied, StoreError> {
    refusal(row, owner, batch).ok_or_else(|| {
        StoreError::Damaged(format!(
            "the owner row, at batch {}, was not changed for batch {}",
            row.applied, batch.seq
        ))
    })
}

/// Checks what every store relies on.
pub(super) fn check(batch: &Batch) -> Result<(), StoreError> {
    let Batch { first_seq, seq, .. } = batch;
    if *first_seq == 0 || first_seq > seq {
        let reason = format!("a batch covers the numbers {first_seq} to {seq}; they rise from 1 on");
        return Err(StoreError::Denied(reason));
    }
    if batch.is_sorted() {
        return Ok(());
    }
    Err(StoreError::Denied(format!(
        "the records of batch {} are not in the order of (database, key), each key once",
        batch.seq
    )))
}

/// What stands as the reason where a statement has put fewer rows than it was to, and none was newer.
pub(super) const DROPPED: &str = "the database has dropped it without a word, as a trigger can";

/// What became of rows of which a statement has put fewer than it was to: of those that do not stand there as the batch brought them, which
/// are given as places with what is there instead. Answers the places of those that were dropped.
pub(super) fn dropped(
    batch: &Batch,
    others: impl Iterator<Item = (usize, Option<(u64, u64)>)>,
) -> Result<Vec<usize>, StoreError> {
    let (newer, dropped): (Vec<_>, Vec<_>) =
        others.partition(|(_, written)| written.is_some_and(|written| written > (batch.epoch, batch.seq)));
    let newer = u64::try_from(newer.len()).expect("a length fits 64 bits");
    if newer > 0 { Err(overtaken(batch, newer)) } else { Ok(dropped.into_iter().map(|(at, _)| at).collect()) }
}

/// Rows of the truth were newer than a batch of the live epoch.
pub(super) fn overtaken(batch: &Batch, refused: u64) -> StoreError {
    StoreError::Damaged(format!(
        "{refused} rows are newer than batch {} of epoch {}, which continues the chain",
        batch.seq, batch.epoch
    ))
}
