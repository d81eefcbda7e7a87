//! Keys as an index of Postgres takes them: at most 2,700 bytes, where keys of quotad may have 65,536.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::engine::MissingKey;
use crate::persist::store::StoreError;

/// Keys up to this many bytes are themselves in the index.
const MAX_INDEXED_BYTES: usize = 1_024;

/// What stands for a key in the index: the key; or the beginning of a long one and the hash of all, which is longer than any key
/// that stands for itself.
pub(super) fn indexed(key: &[u8]) -> Cow<'_, [u8]> {
    if is_indexed(key) {
        return Cow::Borrowed(key);
    }
    Cow::Owned([&key[..MAX_INDEXED_BYTES], Sha256::digest(key).as_slice()].concat())
}

/// Whether the key itself stands in the index.
pub(super) fn is_indexed(key: &[u8]) -> bool {
    key.len() <= MAX_INDEXED_BYTES
}

/// The key, where it is not what stands in the index.
pub(super) fn long(key: &[u8]) -> Option<&[u8]> {
    (!is_indexed(key)).then_some(key)
}

/// The place of a row in the order of the index; a first page begins before every row, at database -1.
pub(super) fn place(after: Option<&MissingKey>) -> (i32, Cow<'_, [u8]>) {
    after.map_or((-1, Cow::Borrowed(&[])), |after| (i32::from(after.database), indexed(&after.key)))
}

/// The key of a row.
pub(super) fn key_of(database: i32, key: Vec<u8>, long: Option<Vec<u8>>) -> Result<MissingKey, StoreError> {
    let database = u8::try_from(database)
        .map_err(|_| StoreError::Damaged(format!("a row is of database {database}, which is none")))?;
    Ok(MissingKey { database, key: long.unwrap_or(key).into() })
}
