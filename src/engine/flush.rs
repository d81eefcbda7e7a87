//! Emptying databases at one point in time.

use super::shards::{Place, SHARDS};
use super::table::Table;
use super::{DATABASES, Engine};

/// What a flush took out of the engine. Dropping it frees the memory, which takes a while for millions of keys: do it
/// where nobody waits.
#[must_use = "drop it where nobody waits"]
pub struct Discarded {
    keys: usize,
    _tables: Vec<Table>,
}

impl Discarded {
    /// The number of keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys
    }

    /// Whether there was no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Engine {
    /// Empties one database: tables are swapped out under all of its guards.
    pub fn flush(&self, database: u8) -> Discarded {
        self.flush_databases(&[database])
    }

    /// Empties every database at one point in time.
    pub fn flush_all(&self) -> Discarded {
        let databases: Vec<u8> = (0..DATABASES).filter_map(|database| u8::try_from(database).ok()).collect();
        self.flush_databases(&databases)
    }

    fn flush_databases(&self, databases: &[u8]) -> Discarded {
        let used = databases.iter().filter(|&&database| self.shards.is_used(database));
        let mut places: Vec<Place> = used
            .flat_map(|&database| {
                (0..SHARDS).filter_map(move |shard| Some(Place::at(database, u16::try_from(shard).ok()?)))
            })
            .collect();
        let mut guards = self.shards.write_all(&mut places);
        let (mut keys, mut discarded) = (0, Vec::new());
        for &database in databases {
            let tables = places.iter().zip(&mut guards).filter(|(place, _)| place.database() == database);
            self.note_flush(database, tables.map(|(_, table)| &mut **table));
            let had_all = self.residency.is_complete(database);
            self.residency.set_empty(database);
            self.fetches.forget(database);
            let tables = places.iter().zip(&mut guards).filter(|(place, _)| place.database() == database);
            let mut tables: Vec<Table> = tables.map(|(_, table)| std::mem::take(&mut **table)).collect();
            keys += tables.iter().map(Table::len).sum::<usize>();
            self.snapshots.keep_emptied(database, had_all, &mut tables);
            discarded.append(&mut tables);
        }
        Discarded { keys, _tables: discarded }
    }
}
