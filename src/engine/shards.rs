//! The locks: which shard a key belongs to, and how one or several shards are guarded.
//!
//! A take on one word needs only the shared guard and a compare-and-swap; whatever changes several things together, or
//! makes or removes an entry, holds the exclusive guards of all shards it touches, taken in index order. No guard leaves
//! this folder, none is held over an await, and no closure run under a guard calls the engine.

use std::sync::OnceLock;

use super::DATABASES;
use super::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use super::table::Table;

/// Shards of a database: enough that two threads on random keys meet in one once in 256 takes, few enough that all their
/// heads, 64 bytes each, stay in a core's first cache.
pub(super) const SHARDS: usize = if cfg!(feature = "shuttle") { 2 } else { 256 };

/// The tables of one database, by shard.
type Database = Box<[Shard]>;

/// One cache line with a lock and all that a look-up needs of its table.
#[repr(align(64))]
struct Shard(RwLock<Table>);

/// All tables. A database's are made when it is first used.
pub(super) struct Shards {
    databases: [OnceLock<Database>; DATABASES],
}

/// Names a shard: database first, so that the order of places is the order of locking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    database: u8,
    shard: u16,
}

impl Place {
    #[inline]
    pub(super) fn new(database: u8, hash: u64) -> Self {
        Self { database, shard: shard_of(hash) }
    }

    pub(super) fn at(database: u8, shard: u16) -> Self {
        Self { database, shard }
    }

    pub(super) const fn database(self) -> u8 {
        self.database
    }
}

/// The shard of a hash: bits that the index inside a shard does not use for its buckets or tags.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of shards")]
fn shard_of(hash: u64) -> u16 {
    ((hash >> 40) % SHARDS as u64) as u16
}

impl Shards {
    pub(super) fn new() -> Self {
        Self { databases: std::array::from_fn(|_| OnceLock::new()) }
    }

    #[inline]
    fn database(&self, database: u8) -> &Database {
        self.databases[usize::from(database)]
            .get_or_init(|| (0..SHARDS).map(|_| Shard(RwLock::new(Table::default()))).collect())
    }

    /// Whether anything was ever put into the database.
    pub(super) fn is_used(&self, database: u8) -> bool {
        self.databases[usize::from(database)].get().is_some()
    }

    /// A shared guard: entries may be looked up and their words swapped, nothing else.
    #[inline]
    pub(super) fn read(&self, place: Place) -> RwLockReadGuard<'_, Table> {
        self.database(place.database)[usize::from(place.shard)].0.read()
    }

    /// An exclusive guard.
    #[inline]
    pub(super) fn write(&self, place: Place) -> RwLockWriteGuard<'_, Table> {
        self.database(place.database)[usize::from(place.shard)].0.write()
    }

    /// Shared guards of several shards, sorted and deduplicated; the result is in the order of `places` afterwards.
    pub(super) fn read_all(&self, places: &mut Vec<Place>) -> Vec<RwLockReadGuard<'_, Table>> {
        places.sort_unstable();
        places.dedup();
        places.iter().map(|&place| self.read(place)).collect()
    }

    /// Exclusive guards of several shards: sorted and deduplicated first, so that two callers never wait for each other
    /// in a circle. The result is in the order of `places` as they are afterwards.
    pub(super) fn write_all(&self, places: &mut Vec<Place>) -> Vec<RwLockWriteGuard<'_, Table>> {
        places.sort_unstable();
        places.dedup();
        places.iter().map(|&place| self.write(place)).collect()
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_cache_line() {
        assert_eq!(size_of::<Shard>(), 64);
    }
}
