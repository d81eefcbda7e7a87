//! How many keys there are and what they weigh.

use std::sync::atomic::Ordering;

use super::shards::{Place, SHARDS};
use super::{DATABASES, Engine};

/// Keys and bytes of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Keys by database, those that expired but were not swept yet included.
    pub keys: [usize; DATABASES],
    /// Those of `keys` with an expiry set on them. The end of a quota follows from its limits and is not counted here.
    pub expiring: [usize; DATABASES],
    /// Milliseconds until those end on average, as the last pass of the sweep saw them.
    pub average_ttl_ms: [u64; DATABASES],
    /// Bytes of tables, entries, keys and values, without the allocator's own.
    pub data_bytes: usize,
    /// Those of `data_bytes` that hold nothing: places of entries that left, for the next ones.
    pub vacant_bytes: usize,
    /// Bytes of the filter of keys that left memory, which `data_bytes` is without.
    pub filter_bytes: usize,
}

impl MemoryReport {
    /// What counts against a limit: places that entries left are used again by the next ones, so they are room.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        u64::try_from(self.data_bytes.saturating_sub(self.vacant_bytes)).unwrap_or(u64::MAX)
    }

    /// Keys of all databases.
    #[must_use]
    pub fn total_keys(&self) -> usize {
        self.keys.iter().sum()
    }
}

impl Engine {
    /// Keys of one database, as `DBSIZE` answers: those that expired but were not swept yet included.
    #[must_use]
    pub fn len(&self, database: u8) -> usize {
        self.tables(database).map(|place| self.shards.read(place).keys()).sum()
    }

    /// Whether the database holds no key.
    #[must_use]
    pub fn is_empty(&self, database: u8) -> bool {
        self.len(database) == 0
    }

    /// Counts keys and bytes, one shard after the other.
    #[must_use]
    pub fn memory(&self) -> MemoryReport {
        let mut report =
            MemoryReport { filter_bytes: self.residency.left.heap_bytes(), ..MemoryReport::default() };
        for number in 0..DATABASES {
            for place in u8::try_from(number).ok().into_iter().flat_map(|database| self.tables(database)) {
                let table = self.shards.read(place);
                report.keys[number] += table.keys();
                report.expiring[number] += table.expiring();
                report.data_bytes += table.memory_bytes();
                report.vacant_bytes += table.vacant_bytes();
            }
            if report.expiring[number] > 0 {
                report.average_ttl_ms[number] = self.average_ttl_ms[number].load(Ordering::Relaxed);
            }
        }
        report
    }

    /// The places of a database, none if it was never used.
    pub(super) fn tables(&self, database: u8) -> impl Iterator<Item = Place> + use<> {
        let shards = if self.shards.is_used(database) { SHARDS } else { 0 };
        (0..shards).filter_map(move |shard| Some(Place::at(database, u16::try_from(shard).ok()?)))
    }
}
