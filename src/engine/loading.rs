//! Loading the truth into memory at the start, and making its filter of what left anew later.
//!
//! While it is loaded, commands run: what they ask for that was not met yet is unknown and is fetched. Two rules keep what was
//! read from the truth a while ago from coming back over what happened since: it is put only where memory has nothing, and what
//! changed since the start does not leave memory before the end.

use super::Engine;
use super::entry::Expiry;
use super::shards::Place;
use super::table::stored;
use super::value::Content;
use crate::clock::Timestamp;

impl Engine {
    /// How many keys the truth has, more or less: for so many the filter of those that leave memory is made.
    pub fn expect_keys(&self, keys: usize) {
        self.residency.left.expect_keys(keys);
    }

    /// Whether the truth is still loaded.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.residency.is_loading()
    }

    /// Puts a key that the truth has into memory while it is loaded. Whether it was: what memory has of the key is newer, and so
    /// is that its database was emptied since the start.
    pub fn load(&self, database: u8, key: &[u8], content: (Content, Expiry), now: Timestamp) -> bool {
        let hash = self.hasher.hash(key);
        let mut table = self.shards.write(Place::new(database, hash));
        if table.find(hash, key).is_some()
            || !self.residency.is_loading()
            || self.residency.is_complete(database)
        {
            return false;
        }
        let (value, word) = stored(content.0, content.1, &self.limits);
        let slot = table.insert(&self.hasher, hash, key, value, word);
        table.entry(slot).touch(now);
        table.owe_to_snapshot(slot, self.tracking(database));
        true
    }

    /// Says that every key of the databases that no truth has was [loaded](Self::load): what is not in memory is absent.
    pub fn end_loading_ephemeral(&self) {
        self.residency.set_complete(self.ephemeral_databases);
    }

    /// Forgets what was [loaded](Self::load) into databases that no truth has, before the end of their loading: they are loaded anew.
    pub fn forget_loaded(&self) {
        for place in self.ephemeral_databases.iter().flat_map(|database| self.tables(database)) {
            let table = std::mem::take(&mut *self.shards.write(place));
            // Behind the guard, since it takes a while.
            drop(table);
        }
    }

    /// Notes a key that the truth has and that is not put into memory: while it is loaded, since there is no room for it; and for
    /// every key that the truth has, since the [next filter](Self::begin_filter) was begun.
    pub fn note_left(&self, database: u8, key: &[u8]) {
        self.residency.left.prepare();
        let hash = self.hasher.hash(key);
        let table = self.shards.read(Place::new(database, hash));
        // What is in memory is noted when it leaves; what a complete database does not have is gone from the truth, or will be.
        if table.find(hash, key).is_none() && !self.residency.is_complete(database) {
            self.residency.note_left(database, hash);
        }
    }

    /// Says that every key of the truth was [loaded](Self::load) or [noted](Self::note_left): from now on what is not in memory
    /// is absent, unless it left.
    pub fn end_loading(&self) {
        self.residency.end_loading();
    }

    /// Whether more keys left memory than the filter was made for, so that more and more are fetched in vain.
    #[must_use]
    pub fn filter_is_full(&self) -> bool {
        self.residency.left.is_full()
    }

    /// Begins the next filter of keys that left memory, for so many; then every key of the truth is [noted](Self::note_left).
    pub fn begin_filter(&self, keys: usize) {
        self.residency.left.begin_next(keys);
    }

    /// Puts the next filter in the place of the one before, once every key of the truth was noted in it; `false` where none
    /// was begun.
    pub fn end_filter(&self) -> bool {
        self.residency.left.end_next()
    }
}
