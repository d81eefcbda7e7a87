//! The three answers of a look-up (a value, absent, unknown), and what is known of the keys that are not in memory.
//!
//! A key that is not in memory is absent where its database is *complete*: all of its keys are in memory. Where it is not, it is
//! absent if it never [left](super::left) memory; else it is unknown.
//!
//! Invariants:
//! 1. While the truth is loaded nothing is complete but databases that were emptied since, and nobody says what never left.
//! 2. Before an entry with a value leaves memory, under the exclusive guard of its key, its database is no longer complete and
//!    the filter has the key. So whoever does not find the key under a guard of its shard sees that it left.
//! 3. A database that was emptied is complete at once, though the truth may have its keys for a while: the first key that leaves
//!    it afterwards was made after the flush, so the truth has applied that before.

use super::left::Left;
use super::sync::{AtomicBool, AtomicU32, Ordering};
use super::{DATABASES, DatabaseSet};

/// What a look-up found: `Ok(Some)` a value, `Ok(None)` absent, `Err` unknown: not in memory, and the truth may have it.
/// Unknown is never taken for absent, which would be a fresh quota.
pub type Lookup<T> = Result<Option<T>, Missing>;

/// A key to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

    /// Adds a key.
    pub fn add(&mut self, database: u8, key: &[u8]) {
        self.0.push(MissingKey { database, key: key.into() });
    }
}

/// What is known of the keys that are not in memory.
pub(super) struct Residency {
    /// Two bits a database, in one word so that they change together: the low ones are of those that are complete, the high
    /// ones of those from which a key left.
    databases: AtomicU32,
    is_loading: AtomicBool,
    pub(super) left: Left,
}

/// The low bits of all databases.
const ALL: u32 = (1 << DATABASES) - 1;

const fn complete(database: u8) -> u32 {
    1 << database
}

const fn has_left(database: u8) -> u32 {
    complete(database) << DATABASES
}

impl Residency {
    /// Of an engine without a truth: all keys are in memory.
    pub(super) fn complete() -> Self {
        Self { databases: AtomicU32::new(ALL), is_loading: AtomicBool::new(false), left: Left::default() }
    }

    /// Of an engine in front of a truth that is being loaded.
    pub(super) fn loading() -> Self {
        Self { databases: AtomicU32::new(0), is_loading: AtomicBool::new(true), left: Left::default() }
    }

    /// Whether all keys of the database are in memory.
    #[inline]
    pub(super) fn is_complete(&self, database: u8) -> bool {
        self.databases.load(Ordering::Acquire) & complete(database) != 0
    }

    /// Whether the truth is still loaded. Asked under the guard of a key it orders what was done with that key: once it is
    /// false for one, it is false for whoever guards the key afterwards.
    pub(super) fn is_loading(&self) -> bool {
        self.is_loading.load(Ordering::Acquire)
    }

    /// Whether a key that is not in memory is absent, under a guard of its shard.
    #[inline]
    pub(super) fn is_absent(&self, database: u8, hash: u64) -> bool {
        self.is_complete(database) || self.left.is_never(database, hash)
    }

    /// Notes that the key of this hash is about to leave memory, or that the truth has it and memory does not; under the
    /// guard of its shard.
    pub(super) fn note_left(&self, database: u8, hash: u64) {
        self.left.insert(database, hash);
        let (complete, has_left) = (complete(database), has_left(database));
        if self.databases.load(Ordering::Relaxed) & (complete | has_left) != has_left {
            self.change(|databases| databases & !complete | has_left);
        }
    }

    /// The truth was met from end to end: databases from which nothing left are complete, of the others the filter has all.
    pub(super) fn end_loading(&self) {
        self.left.set_whole();
        self.change(|databases| databases | (ALL & !(databases >> DATABASES)));
        self.is_loading.store(false, Ordering::Release);
    }

    /// The database was emptied, under the exclusive guards of all of its shards: what the truth still has of it counts no more.
    pub(super) fn set_empty(&self, database: u8) {
        self.change(|databases| (databases | complete(database)) & !has_left(database));
    }

    /// All keys of these databases are in memory.
    pub(super) fn set_complete(&self, databases: DatabaseSet) {
        self.change(|known| known | u32::from(databases.bits()));
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        let mut databases = self.databases.load(Ordering::Relaxed);
        loop {
            let changed = change(databases);
            match self.databases.compare_exchange(databases, changed, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(meanwhile) => databases = meanwhile,
            }
        }
    }
}
