//! Which slot a key lies in: open addressing over 32-bit buckets, so that a look-up touches one cache line.
//!
//! A general hash table keeps tags and numbers apart, two lines to miss; and it does not tell an address to prefetch.

/// Bits of a bucket that hold a slot number plus one; 0 is an empty bucket.
const SLOT_BITS: u32 = 25;

/// The most entries of a shard: 33 million, 2 GiB of entries alone.
pub(super) const MAX_SLOTS: u32 = (1 << SLOT_BITS) - 1;

/// Buckets of the first table.
const FIRST_BUCKETS: usize = 8;

/// Slot numbers by hash. Collisions go to the next bucket (linear probing), which is mostly in the same line; removal
/// moves later buckets up, so there are no tombstones.
#[derive(Default)]
pub(super) struct Index {
    /// A power of two of them, or none; each a tag of 7 hash bits above a slot number plus one.
    buckets: Box<[u32]>,
    len: u32,
}

impl Index {
    /// Bytes of the buckets.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buckets.len() * size_of::<u32>()
    }

    /// The slot with this hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let buckets = &*self.buckets;
        if buckets.is_empty() {
            return None;
        }
        let mask = buckets.len() - 1;
        let tag = tag_of(hash);
        let mut at = home_of(hash);
        loop {
            let bucket = buckets[at & mask];
            if bucket == 0 {
                return None;
            }
            if bucket >> SLOT_BITS == tag && is_it(slot_of(bucket)) {
                return Some(slot_of(bucket));
            }
            at = (at & mask) + 1;
        }
    }

    /// The first bucket a look-up of this hash reads, to prefetch its line.
    #[inline]
    pub(super) fn first_bucket(&self, hash: u64) -> Option<&u32> {
        self.buckets.get(home_of(hash) & self.buckets.len().checked_sub(1)?)
    }

    /// Adds a slot, which must not be there. `hash_of` tells the hash of any slot in the index.
    pub(super) fn insert(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        assert!(slot < MAX_SLOTS, "a shard is full: it holds {MAX_SLOTS} entries");
        if (count(self.len) + 1) * 5 > self.buckets.len() * 4 {
            self.resize((self.buckets.len() * 2).max(FIRST_BUCKETS), &hash_of);
        }
        self.put(hash, slot);
        self.len += 1;
    }

    /// Removes a slot, which must be there.
    pub(super) fn remove(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let mask = self.buckets.len() - 1;
        let wanted = bucket_of(hash, slot);
        let mut gap = home_of(hash) & mask;
        while self.buckets[gap] != wanted {
            debug_assert!(self.buckets[gap] != 0, "the slot is in the index");
            gap = (gap + 1) & mask;
        }
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let bucket = self.buckets[at];
            if bucket == 0 {
                break;
            }
            // A bucket may move up into the gap unless its home lies behind the gap.
            let home = home_of(hash_of(slot_of(bucket))) & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.buckets[gap] = bucket;
                gap = at;
            }
        }
        self.buckets[gap] = 0;
        self.len -= 1;
        if count(self.len) * 8 < self.buckets.len() && self.buckets.len() > FIRST_BUCKETS {
            self.resize(self.buckets.len() / 4, &hash_of);
        }
    }

    fn resize(&mut self, buckets: usize, hash_of: &impl Fn(u32) -> u64) {
        let old = std::mem::replace(&mut self.buckets, vec![0; buckets.max(FIRST_BUCKETS)].into());
        for bucket in old.into_iter().filter(|&bucket| bucket != 0) {
            self.put(hash_of(slot_of(bucket)), slot_of(bucket));
        }
    }

    fn put(&mut self, hash: u64, slot: u32) {
        let mask = self.buckets.len() - 1;
        let mut at = home_of(hash) & mask;
        while self.buckets[at] != 0 {
            at = (at + 1) & mask;
        }
        self.buckets[at] = bucket_of(hash, slot);
    }
}

#[inline]
fn count(len: u32) -> usize {
    usize::try_from(len).expect("32 bits fit a usize")
}

#[inline]
const fn bucket_of(hash: u64, slot: u32) -> u32 {
    (tag_of(hash) << SLOT_BITS) | (slot + 1)
}

#[inline]
const fn slot_of(bucket: u32) -> u32 {
    (bucket & MAX_SLOTS) - 1
}

/// The highest bits of the hash, which neither the home nor the shard is chosen by.
#[inline]
const fn tag_of(hash: u64) -> u32 {
    (hash >> (64 - (32 - SLOT_BITS))) as u32
}

/// Where a look-up begins, before it is cut to the number of buckets.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "low bits are what is wanted")]
const fn home_of(hash: u64) -> usize {
    hash as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few homes and tags, so that runs are long, wrap around and share tags.
    fn hash_of(slot: u32) -> u64 {
        u64::from(slot % 13) | (u64::from(slot % 3) << 57)
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(changes in prop::collection::vec((0_u32..200, any::<bool>()), 0..600)) {
            let mut index = Index::default();
            let mut set = std::collections::BTreeSet::new();
            for (slot, adds) in changes {
                if adds && set.insert(slot) {
                    index.insert(hash_of(slot), slot, hash_of);
                } else if !adds && set.remove(&slot) {
                    index.remove(hash_of(slot), slot, hash_of);
                }
                for slot in 0..200 {
                    let found = index.find(hash_of(slot), |other| other == slot);
                    prop_assert_eq!(found.is_some(), set.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn memory_follows_the_number_of_slots() {
        let spread = |slot: u32| u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut index = Index::default();
        for slot in 0..100_000 {
            index.insert(spread(slot), slot, spread);
        }
        assert!(index.heap_bytes() <= 4 * 100_000 * 5 / 2);
        for slot in 0..99_990 {
            index.remove(spread(slot), slot, spread);
        }
        assert!(index.heap_bytes() <= 1_024);
        assert_eq!(index.find(spread(99_995), |slot| slot == 99_995), Some(99_995));
    }
}
