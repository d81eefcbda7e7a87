//! Two other designs for a map of words: DashMap with compare-and-swap, and mutexes around hashbrown.

use std::hash::{BuildHasher, Hasher};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use portable_atomic::{AtomicU128, Ordering};
use quotad::clock::Timestamp;
use quotad::quota::{Mode, Rule, SpanCache, Verdict, take_word};

/// Shards of both, a power of two: with more, two threads meet hardly less often.
const SHARDS: usize = 256;

/// What a map of words must do to be compared.
pub trait Map: Sync {
    /// The word under the key, or nothing.
    fn look_up(&self, key: &[u8]) -> Option<u128>;
    /// Adds one, to nothing where there is no word.
    fn add(&self, key: &[u8]) -> u128;
    /// Takes one unit.
    fn take(&self, key: &[u8], rule: &Rule, now: Timestamp, cache: &mut SpanCache) -> Verdict;
    /// Forgets all words.
    fn clear(&self);
}

/// A word is changed by compare-and-swap under its shard's shared lock.
pub struct Dash(DashMap<Box<[u8]>, AtomicU128, RandomState>);

impl Default for Dash {
    fn default() -> Self {
        Self(DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS))
    }
}

impl Dash {
    fn change<R>(&self, key: &[u8], mut decide: impl FnMut(u128) -> (Option<u128>, R)) -> R {
        let word = match self.0.get(key) {
            Some(word) => word,
            None => self.0.entry(key.into()).or_default().downgrade(),
        };
        let mut current = word.load(Ordering::Acquire);
        loop {
            let (next, result) = decide(current);
            let Some(next) = next else { return result };
            match word.compare_exchange(current, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return result,
                Err(changed) => current = changed,
            }
        }
    }
}

impl Map for Dash {
    fn look_up(&self, key: &[u8]) -> Option<u128> {
        self.0.get(key).map(|word| word.load(Ordering::Acquire))
    }

    fn add(&self, key: &[u8]) -> u128 {
        self.change(key, |word| (Some(word + 1), word + 1))
    }

    fn take(&self, key: &[u8], rule: &Rule, now: Timestamp, cache: &mut SpanCache) -> Verdict {
        self.change(key, |word| take_word(rule, word, 1, Mode::Exact, now, cache))
    }

    fn clear(&self) {
        self.0.clear();
    }
}

/// A word is changed under its shard's mutex.
pub struct Mutexes {
    hasher: RandomState,
    shards: Vec<Mutex<Words>>,
}

type Words = HashTable<(Box<[u8]>, u128)>;

impl Default for Mutexes {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(|_| Mutex::new(Words::new())).collect(),
        }
    }
}

impl Mutexes {
    fn with<R>(&self, key: &[u8], run: impl FnOnce(&mut Words, u64) -> R) -> R {
        let hash = self.hash(key);
        // Bits that the table inside does not use for its buckets or tags.
        let shard = usize::try_from((hash >> 40) % SHARDS as u64).expect("it is below the number of shards");
        run(&mut self.shards[shard].lock(), hash)
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    fn change<R>(&self, key: &[u8], decide: impl FnOnce(u128) -> (Option<u128>, R)) -> R {
        self.with(key, |words, hash| {
            let entry = words.entry(hash, |(known, _)| **known == *key, |(known, _)| self.hash(known));
            let mut entry = entry.or_insert_with(|| (key.into(), 0));
            let word = &mut entry.get_mut().1;
            let (next, result) = decide(*word);
            *word = next.unwrap_or(*word);
            result
        })
    }
}

impl Map for Mutexes {
    fn look_up(&self, key: &[u8]) -> Option<u128> {
        self.with(key, |words, hash| words.find(hash, |(known, _)| **known == *key).map(|entry| entry.1))
    }

    fn add(&self, key: &[u8]) -> u128 {
        self.change(key, |word| (Some(word + 1), word + 1))
    }

    fn take(&self, key: &[u8], rule: &Rule, now: Timestamp, cache: &mut SpanCache) -> Verdict {
        self.change(key, |word| take_word(rule, word, 1, Mode::Exact, now, cache))
    }

    fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }
}
