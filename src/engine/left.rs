//! The keys that left memory, as a Bloom filter: it may say so of a key that never did, which costs a fetch; never the other way.
//!
//! A filter that holds more keys than it was made for says so of more and more others. Then the next one is filled beside it, with
//! every key that leaves meanwhile and every key that a scan of the truth meets outside of memory, and takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use fastbloom::AtomicBloomFilter;
use parking_lot::Mutex;

/// Bits for each key. With [`HASHES`] of them set, 1 in 120 of the keys that never left is fetched in vain.
const BITS_PER_KEY: usize = 10;

/// Bits that a key sets: what is best for [`BITS_PER_KEY`].
const HASHES: u32 = 7;

/// The fewest keys a filter is made for, 80 KiB: one that is full at once would be made again and again.
const LEAST_KEYS: usize = 1 << 16;

/// The most keys a filter is made for, 5 GiB: more than a truth has that one server stands in front of.
const MOST_KEYS: usize = 1 << 32;

/// Spreads the numbers of databases over all bits: the golden ratio's.
const DATABASE_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// The filters, as look-ups find them without waiting for each other.
#[derive(Default)]
pub(super) struct Left {
    filters: ArcSwap<Filters>,
    /// Held while filters are exchanged.
    exchange: Mutex<()>,
    /// How many keys the first filter is made for; it is made when the first key leaves.
    expected_keys: AtomicUsize,
}

#[derive(Clone, Default)]
struct Filters {
    /// `None`: nothing left yet.
    current: Option<Arc<Filter>>,
    /// Becomes the current one when all of the truth was met.
    next: Option<Arc<Filter>>,
    /// Whether every key that the truth may have outside of memory is in `current`.
    is_whole: bool,
}

struct Filter {
    bits: AtomicBloomFilter,
    /// Keys that were put in, but for those that seemed to be there.
    keys: AtomicUsize,
    most_keys: usize,
}

impl Filter {
    fn new(keys: usize) -> Arc<Self> {
        let most_keys = keys.clamp(LEAST_KEYS, MOST_KEYS);
        let bits = AtomicBloomFilter::with_num_bits(most_keys * BITS_PER_KEY).hashes(HASHES);
        Arc::new(Self { bits, keys: AtomicUsize::new(0), most_keys })
    }

    fn insert(&self, hash: u64) {
        if !self.bits.insert_hash(hash) {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.bits.num_bits() / 8
    }
}

impl Left {
    /// How many keys the truth has, more or less.
    pub(super) fn expect_keys(&self, keys: usize) {
        self.expected_keys.store(keys, Ordering::Relaxed);
    }

    /// Whether the key of this hash surely never left, and the truth does not have it. Under a guard of its shard.
    ///
    /// Apart from the look-ups that ask: mostly a database is complete, and this would only be in the way.
    #[inline(never)]
    pub(super) fn is_never(&self, database: u8, hash: u64) -> bool {
        let filters = self.filters.load();
        let may_hold = |filter: &Arc<Filter>| filter.bits.contains_hash(with_database(database, hash));
        filters.is_whole && !filters.current.as_ref().is_some_and(may_hold)
    }

    /// Makes the first filter where there is none: before a guard is held, since a large one takes a while.
    pub(super) fn prepare(&self) {
        if self.filters.load().current.is_some() {
            return;
        }
        let _exchange = self.exchange.lock();
        let filters = self.filters.load_full();
        if filters.current.is_none() {
            let current = Some(Filter::new(self.expected_keys.load(Ordering::Relaxed)));
            self.filters.store(Arc::new(Filters { current, ..Filters::clone(&filters) }));
        }
    }

    /// Puts a key in that is about to leave, or that the truth has. Under a guard of its shard, so that whoever looks for it
    /// there afterwards finds it here.
    pub(super) fn insert(&self, database: u8, hash: u64) {
        self.prepare();
        let filters = self.filters.load();
        filters
            .current
            .iter()
            .chain(&filters.next)
            .for_each(|filter| filter.insert(with_database(database, hash)));
    }

    /// Every key that the truth has outside of memory was put in.
    pub(super) fn set_whole(&self) {
        let _exchange = self.exchange.lock();
        let filters = self.filters.load_full();
        self.filters.store(Arc::new(Filters { is_whole: true, ..Filters::clone(&filters) }));
    }

    /// Whether more keys were put in than the filter was made for.
    pub(super) fn is_full(&self) -> bool {
        let filters = self.filters.load();
        filters.current.as_ref().is_some_and(|filter| filter.keys.load(Ordering::Relaxed) > filter.most_keys)
    }

    /// Begins the next filter, for so many keys; one that was begun before is forgotten.
    pub(super) fn begin_next(&self, keys: usize) {
        let next = Some(Filter::new(keys));
        let _exchange = self.exchange.lock();
        let filters = self.filters.load_full();
        self.filters.store(Arc::new(Filters { next, ..Filters::clone(&filters) }));
    }

    /// Every key that the truth has outside of memory was put in since the next filter was begun: it takes its place. `false`
    /// where none was begun.
    pub(super) fn end_next(&self) -> bool {
        let _exchange = self.exchange.lock();
        let filters = self.filters.load_full();
        let Some(next) = &filters.next else { return false };
        let current = Some(Arc::clone(next));
        self.filters.store(Arc::new(Filters { current, next: None, is_whole: true }));
        true
    }

    /// Bytes of the filters.
    pub(super) fn heap_bytes(&self) -> usize {
        let filters = self.filters.load();
        filters.current.iter().chain(&filters.next).map(|filter| filter.heap_bytes()).sum()
    }
}

/// Keys of one name in several databases are several keys.
fn with_database(database: u8, hash: u64) -> u64 {
    hash ^ DATABASE_FACTOR.wrapping_mul(u64::from(database))
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    /// Hashes as those of keys: spread over all bits.
    fn hash(number: u64) -> u64 {
        crate::engine::random::Random::from_number(number).next()
    }

    #[test]
    fn nothing_is_said_before_the_truth_was_met() {
        let left = Left::default();
        assert!(!left.is_never(0, 1));
        left.set_whole();
        assert!(left.is_never(0, 1) && left.heap_bytes() == 0);
        left.insert(0, 1);
        assert!(!left.is_never(0, 1) && left.is_never(1, 1) && left.is_never(0, 2));
    }

    #[test]
    fn a_filter_within_its_number_of_keys_is_seldom_wrong() {
        let left = Left::default();
        left.set_whole();
        left.expect_keys(100_000);
        (0..100_000).for_each(|number| left.insert(3, hash(number)));
        assert!((0..100_000).all(|number| !left.is_never(3, hash(number))));
        let wrong = (100_000..200_000).filter(|&number| !left.is_never(3, hash(number))).count();
        assert!(wrong < 2_000, "{wrong} of 100,000");
        assert!(!left.is_full());
        assert_eq!(left.heap_bytes(), 125_000);
        (100_000..110_000).for_each(|number| left.insert(3, hash(number)));
        assert!(left.is_full());
    }

    #[test]
    fn the_next_filter_takes_over_with_what_left_meanwhile() {
        let left = Left::default();
        left.set_whole();
        left.insert(0, hash(1));
        assert!(!left.end_next(), "none was begun");
        left.begin_next(1_000_000);
        left.insert(0, hash(2));
        assert!(!left.is_never(0, hash(1)) && !left.is_never(0, hash(2)));
        assert!(left.end_next());
        assert!(left.is_never(0, hash(1)), "the scan of the truth did not meet it");
        assert!(!left.is_never(0, hash(2)));
        assert_eq!(left.heap_bytes(), 1_250_000);
    }
}
