//! How many keys there are and what they weigh.

use super::shards::{Place, SHARDS};
use super::{DATABASES, Engine};

/// Keys and bytes of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Keys by database, those that expired but were not swept yet included.
    pub keys: [usize; DATABASES],
    /// Bytes of tables, entries, keys and values, without the allocator's own.
    pub data_bytes: usize,
}

impl MemoryReport {
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
        let mut report = MemoryReport::default();
        for (number, keys) in report.keys.iter_mut().enumerate() {
            for place in u8::try_from(number).ok().into_iter().flat_map(|database| self.tables(database)) {
                let table = self.shards.read(place);
                *keys += table.keys();
                report.data_bytes += table.memory_bytes();
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
