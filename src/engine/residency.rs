//! The three answers of a look-up: a value, absent, unknown.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a look-up found: `Ok(Some)` a value, `Ok(None)` absent, `Err` unknown: not in memory, and the truth may have it.
/// Unknown is never taken for absent, which would be a fresh quota.
pub type Lookup<T> = Result<Option<T>, Missing>;

/// A key to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingKey {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: Box<[u8]>,
}

/// The keys that must be fetched before a command can run. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Vec<MissingKey>);

impl Missing {
    /// One key.
    #[must_use]
    pub fn one(database: u8, key: &[u8]) -> Self {
        Self(vec![MissingKey { database, key: key.into() }])
    }
}

/// Of which databases all keys are in memory: one bit each.
pub(super) struct Residency {
    complete: AtomicU32,
}

impl Residency {
    pub(super) fn complete() -> Self {
        Self { complete: AtomicU32::new(u32::MAX) }
    }

    pub(super) fn partial() -> Self {
        Self { complete: AtomicU32::new(0) }
    }

    /// Whether a key of the database that is not in memory is absent.
    #[inline]
    pub(super) fn is_complete(&self, database: u8) -> bool {
        self.complete.load(Ordering::Acquire) & (1 << database) != 0
    }

    /// Every key of the truth is in memory now.
    pub(super) fn set_complete(&self) {
        self.complete.store(u32::MAX, Ordering::Release);
    }

    /// The database was emptied: what the truth still has of it counts no more.
    pub(super) fn set_empty(&self, database: u8) {
        self.complete.fetch_or(1 << database, Ordering::AcqRel);
    }
}
