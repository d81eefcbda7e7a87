//! Who may take the next epoch: the one rule of all stores.

use super::store::{Claim, Claimed, DataSetId, Lease, OwnerRow, Restore, Restoring};

/// The most bytes of a holder's description that are kept: a path and a host's name.
const MAX_HOLDER_BYTES: usize = 1_024;

/// What `owner` says to a claim: the refusal, or the data set to go on with, `None` being a new one.
pub(super) fn judge(owner: &OwnerRow, claim: &Claim) -> Result<Option<DataSetId>, Claimed> {
    if claim.data_set.is_some() && claim.data_set != owner.data_set {
        return Err(Claimed::WrongDataSet { found: owner.data_set });
    }
    if claim.behind.is_some_and(|epoch| epoch != owner.epoch) {
        return Err(Claimed::Moved);
    }
    if owner.owner == Some(claim.owner) {
        return Ok(owner.data_set);
    }
    let holder = owner.holder.clone();
    // Whoever takes an epoch gives it a data set; a restore does so last.
    let is_half_restored = owner.epoch > 0 && owner.data_set.is_none();
    match owner.lease {
        Lease::Held(lease_left) => Err(Claimed::Held { holder, lease_left }),
        _ if is_half_restored => Err(Claimed::HalfRestored { holder }),
        Lease::Expired if !claim.same_directory && !claim.take_over => Err(Claimed::Expired { holder }),
        Lease::Expired | Lease::Free => Ok(owner.data_set),
    }
}

/// A holder's description as it is kept.
pub(super) fn kept_holder(holder: &str) -> &str {
    // Postgres takes no zero in a text.
    let holder = holder.split('\0').next().unwrap_or_default();
    &holder[..holder.floor_char_boundary(MAX_HOLDER_BYTES)]
}

/// Why a restore may not empty a truth with this owner row and so many rows; `None`: it may.
pub(super) fn empty_refusal(row: &OwnerRow, rows: u64, restore: &Restore) -> Option<Restoring> {
    match row.lease {
        Lease::Held(lease_left) if row.owner != Some(restore.owner) => {
            Some(Restoring::Held { holder: row.holder.clone(), lease_left })
        }
        _ if !restore.replace && (row.data_set.is_some() || rows > 0) => {
            Some(Restoring::NotEmpty { data_set: row.data_set, rows })
        }
        _ => None,
    }
}
