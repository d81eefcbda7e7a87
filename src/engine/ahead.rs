//! Looking ahead: brings what the next commands of a turn will touch into the cache while others run.
//!
//! A look-up waits for one line after the other: shard, index, chunk, entry. Commands of one turn wait for theirs one
//! after the other too, since locking a shard keeps the processor from running ahead. Both passes answer nothing and change
//! nothing, so a stale or missing answer costs only time.

use super::Engine;
use super::prefetch::line_of;
use super::shards::Place;

/// A key that will be used soon.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    place: Place,
    hash: u64,
}

impl Engine {
    /// First pass: begins to load the part of the index where `key` is found.
    #[inline]
    #[must_use]
    pub fn look_ahead(&self, database: u8, key: &[u8]) -> Ahead {
        let hash = self.hasher.hash(key);
        let place = Place::new(database, hash);
        self.shards.read(place).prefetch_bucket(hash);
        Ahead { place, hash }
    }

    /// Second pass, some commands later: begins to load the entry.
    #[inline]
    pub fn look_closer(&self, ahead: Ahead) {
        if let Some(entry) = self.shards.read(ahead.place).likely_entry(ahead.hash) {
            line_of(entry);
        }
    }
}
