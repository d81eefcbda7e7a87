//! What SQLite's errors mean for who asked.

use sqlx::Error;

use crate::persist::store::StoreError;

/// SQLite's primary result codes (sqlite.org/rescode.html).
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const BUSY: i32 = 5;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
    pub(super) const ERROR: i32 = 1;
}

/// The primary code; the extended ones are in the higher bits.
fn code_of(error: &Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Why the database refuses this row, and would refuse it again; `None` where the row is not the reason.
pub(super) fn refusal_of_row(error: &Error) -> Option<String> {
    let refused = matches!(code_of(error)?, code::TOOBIG | code::CONSTRAINT | code::MISMATCH);
    refused.then(|| error.to_string())
}

/// An error before the commit: nothing was changed.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn unavailable(error: Error) -> StoreError {
    let reason = error.to_string();
    match (code_of(&error), &error) {
        (Some(code::CORRUPT | code::NOTADB), _) => StoreError::Damaged(format!(
            "{reason}; move the file away with its -wal and -shm, keep them, and fill a new one from a snapshot (quotad snapshot restore)"
        )),
        (None, Error::Decode(_) | Error::ColumnDecode { .. }) => StoreError::Damaged(reason),
        (Some(code::PERM | code::READONLY | code::CANTOPEN | code::AUTH | code::ERROR), _)
        | (None, Error::Configuration(_)) => StoreError::Denied(reason),
        _ => StoreError::Unavailable(reason),
    }
}

/// An error of the commit: it may be on the disk.
pub(super) fn unclear(error: Error) -> StoreError {
    match code_of(&error) {
        // Another has the file: the transaction is still open, and is rolled back.
        Some(code::BUSY) => unavailable(error),
        _ => StoreError::Unclear(error.to_string()),
    }
}
