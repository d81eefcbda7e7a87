//! Fetching keys that left memory: who asked for which, so that no late answer puts an old value into memory.
//!
//! Invariants:
//! 1. A fetch is registered before its query is sent, under a guard of the key's shard, and only while the key is unknown.
//! 2. An answer is put into memory only while its very fetch is registered, and the key is not there.
//! 3. A key that is in flight does not leave memory (it may have come by another way), and emptying its database takes it out
//!    of the register. So whatever the truth answers to a registered fetch is still what it has.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;

use super::Engine;
use super::entry::{Expiry, Value};
use super::residency::MissingKey;
use super::shards::Place;
use super::table::stored;
use super::value::Content;
use crate::clock::Timestamp;

/// Names one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FetchNumber(u64);

/// Keys to ask the truth for. Each must be [filled](Engine::fill) or [abandoned](Engine::abandon_fetch): until then commands that
/// need it wait, and it does not leave memory.
#[must_use = "its keys are waited for until they are filled or abandoned"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Names it in its answers.
    pub number: FetchNumber,
    /// Those that nobody else is fetching.
    pub keys: Vec<MissingKey>,
}

/// The keys in flight: as many as waiting commands have, which whoever fetches limits.
#[derive(Default)]
pub(super) struct Fetches {
    /// The number of keys, so that who removes entries mostly need not look for theirs.
    in_flight: AtomicUsize,
    register: Mutex<Register>,
}

#[derive(Default)]
struct Register {
    last: u64,
    keys: HashMap<MissingKey, FetchNumber, foldhash::fast::RandomState>,
}

/// A key that is looked for: hashed as a [`MissingKey`] is.
#[derive(Hash)]
struct Borrowed<'a>(u8, &'a [u8]);

impl Equivalent<MissingKey> for Borrowed<'_> {
    fn equivalent(&self, key: &MissingKey) -> bool {
        self.0 == key.database && *self.1 == *key.key
    }
}

impl Fetches {
    fn begin(&self) -> FetchNumber {
        let mut register = self.register.lock();
        register.last += 1;
        FetchNumber(register.last)
    }

    /// Whether the key was registered now.
    fn register(&self, number: FetchNumber, key: &MissingKey) -> bool {
        let mut register = self.register.lock();
        if register.keys.contains_key(key) {
            return false;
        }
        register.keys.insert(key.clone(), number);
        self.in_flight.store(register.keys.len(), Ordering::Relaxed);
        true
    }

    /// Takes a key out; whether this fetch had it registered.
    fn take(&self, number: FetchNumber, key: &MissingKey) -> bool {
        let mut register = self.register.lock();
        let is_registered = register.keys.get(key) == Some(&number);
        if is_registered {
            register.keys.remove(key);
            self.in_flight.store(register.keys.len(), Ordering::Relaxed);
        }
        is_registered
    }

    /// Takes all keys of a database out, under the exclusive guards of all of its shards.
    pub(super) fn forget(&self, database: u8) {
        let mut register = self.register.lock();
        register.keys.retain(|key, _| key.database != database);
        self.in_flight.store(register.keys.len(), Ordering::Relaxed);
    }

    /// Whether the key is in flight, under a guard of its shard: with the exclusive one it stays so or not.
    pub(super) fn holds(&self, database: u8, key: &[u8]) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
            && self.register.lock().keys.contains_key(&Borrowed(database, key))
    }
}

impl Engine {
    /// Registers a fetch of those keys that are unknown and not in flight, before the truth is asked for them. The others are
    /// known by now, or [being fetched](Self::is_fetching) by somebody else.
    pub fn begin_fetch(&self, keys: &[MissingKey]) -> Fetch {
        let number = self.fetches.begin();
        let is_new = |missing: &&MissingKey| {
            let MissingKey { database, key } = *missing;
            let hash = self.hasher.hash(key);
            let table = self.shards.read(Place::new(*database, hash));
            table.find(hash, key).is_none()
                && !self.residency.is_absent(*database, hash)
                && self.fetches.register(number, missing)
        };
        Fetch { number, keys: keys.iter().filter(is_new).cloned().collect() }
    }

    /// Puts what the truth answered to a fetch into memory: a value, or that there is none. Whether it was: an answer to a fetch
    /// that was abandoned, or whose database was emptied since, is ignored, and what is in memory stays, since it is newer.
    pub fn fill(
        &self,
        fetch: FetchNumber,
        missing: &MissingKey,
        content: Option<(Content, Expiry)>,
        now: Timestamp,
    ) -> bool {
        let MissingKey { database, key } = missing;
        let hash = self.hasher.hash(key);
        let mut table = self.shards.write(Place::new(*database, hash));
        if !self.fetches.take(fetch, missing)
            || table.find(hash, key).is_some()
            || self.residency.is_absent(*database, hash)
        {
            return false;
        }
        let (value, word) = match content {
            Some((content, expiry)) => stored(content, expiry, &self.limits),
            None => (Value::KnownAbsent, 0),
        };
        let slot = table.insert(&self.hasher, hash, key, value, word);
        table.entry(slot).touch(now);
        table.owe_to_snapshot(slot, self.tracking(*database));
        true
    }

    /// Gives a fetch of these keys up: whatever is answered to it later is ignored.
    pub fn abandon_fetch(&self, fetch: FetchNumber, keys: &[MissingKey]) {
        for key in keys {
            self.fetches.take(fetch, key);
        }
    }

    /// Whether only the truth knows what is under a key.
    #[must_use]
    pub fn is_unknown(&self, database: u8, key: &[u8]) -> bool {
        let hash = self.hasher.hash(key);
        let table = self.shards.read(Place::new(database, hash));
        table.find(hash, key).is_none() && !self.residency.is_absent(database, hash)
    }

    /// Whether a key is being fetched: who needs it waits for that.
    #[must_use]
    pub fn is_fetching(&self, missing: &MissingKey) -> bool {
        self.fetches.holds(missing.database, &missing.key)
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_borrowed_key_is_hashed_as_an_owned_one() {
        let hasher = foldhash::fast::FixedState::default();
        for key in [&b""[..], b"a", b"a longer key that is hashed in several steps"] {
            let owned = MissingKey { database: 7, key: key.into() };
            assert_eq!(hasher.hash_one(&owned), hasher.hash_one(Borrowed(7, key)));
            assert!(Borrowed(7, key).equivalent(&owned) && !Borrowed(6, key).equivalent(&owned));
        }
    }
}
