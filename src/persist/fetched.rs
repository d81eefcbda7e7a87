//! What a truth answers to a fetch: small values at once, large ones when they are asked for by themselves.
//!
//! A value of hundreds of MiB takes longer than a client waits, and nobody knows before that it has as many. So a fetch is short whatever is
//! under its keys, and one that is late means a truth that does not answer.

use super::record::StoredValue;
use super::store::{Store, StoreError};
use crate::clock::Timestamp;
use crate::engine::MissingKey;

/// The most bytes of a value's durable form that a fetch answers, of many keys fewer; a larger one is [left out](LeftOut). The asking thread serves clients,
/// who would wait while it makes a value of more.
pub const MAX_FETCHED_BYTES: usize = 64 * 1024;

/// The bytes that all values of a fetch have together, about: what a slow network brings before a client gives up.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes of a value that a fetch of so many keys answers.
pub(super) fn most_bytes(keys: usize) -> usize {
    MAX_FETCHED_BYTES.min(MAX_ANSWER_BYTES / keys.max(1))
}

/// A value; `None`: there is none; an error: there is one, which cannot be read for this reason. That is never as if there were none.
pub type FetchedValue = Result<Option<StoredValue>, String>;

/// What was fetched, with how far the truth was: it may have lost batches since somebody knew better.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// Its epoch, before the values were read.
    pub epoch: u64,
    /// The last batch that was applied by then.
    pub applied: u64,
    /// What is under each key, in their order; an error where it was left out.
    pub values: Vec<FetchedValue>,
    /// The values that were left out, in their order.
    pub left_out: Vec<LeftOut>,
}

/// A value that is too large to be answered beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Where its key is among those that were asked for.
    pub at: usize,
    /// The bytes of its durable form.
    pub bytes: u64,
}

/// What stands among the values in place of one that was left out.
pub(super) fn left_out(bytes: u64) -> String {
    format!("it has {bytes} bytes, and is read by itself")
}

/// Everything under the keys, however large, and however long that takes.
///
/// # Errors
/// As [`Store::fetch`].
pub(super) async fn fetch_all(
    store: &dyn Store,
    keys: &[MissingKey],
    now: Timestamp,
) -> Result<Fetched, StoreError> {
    let mut fetched = store.fetch(keys, now).await?;
    for LeftOut { at, bytes } in std::mem::take(&mut fetched.left_out) {
        let large = store.fetch_large(std::slice::from_ref(&keys[at]), bytes, now).await?;
        // What was read last may be of a truth that has lost something since.
        (fetched.epoch, fetched.applied) = (fetched.epoch, fetched.applied).min((large.epoch, large.applied));
        fetched.values[at] = large.values.into_iter().next().unwrap_or_else(|| Err(left_out(bytes)));
    }
    Ok(fetched)
}
