//! Entries in chunks that never move: a slot number stays valid while its entry lives.

use super::dirty::Changes;
use super::entry::{Entry, Value};
use super::random::Random;

/// Entries a chunk holds: 8 KiB, so that the pointers to all chunks of a million entries fit a core's own cache, and a
/// shard's half-empty last chunk is about 1 % of its memory.
///
/// Under shuttle entries are several times as large, and its threads have small stacks, on which a chunk is made.
const CHUNK_ENTRIES: u32 = if cfg!(feature = "shuttle") { 8 } else { 128 };

/// Chunks tried for a sample until one is taken whatever it has: nearly all are full enough to be taken sooner, unless all are
/// nearly empty.
const CHUNKS_TRIED: usize = 4;

/// All entries of a chunk as bits.
const FULL: u128 = u128::MAX >> (u128::BITS - CHUNK_ENTRIES);

/// Entries by slot number.
#[derive(Default)]
pub(super) struct Slab {
    /// Memory of a chunk, there only while an entry is.
    chunks: Vec<Option<Box<Chunk>>>,
    /// What a look-up does not need, apart so that a shard's lock, index and chunks share one cache line.
    tally: Box<Tally>,
}

/// Aligned to a page of memory: mimalloc then has blocks of exactly this size, while it rounds what is aligned to a cache line up
/// to the next of its sizes, a quarter more.
#[repr(align(4096))]
struct Chunk([Entry; CHUNK_ENTRIES as usize]);

/// What is known of the entries together.
#[derive(Default)]
struct Tally {
    /// One bit per entry of a chunk that is not vacant.
    used: Vec<u128>,
    /// Chunks with a vacant entry, each once.
    with_room: Vec<u32>,
    /// Chunks that are in memory, each once, so that one is chosen at random however many were given back.
    present: Vec<u32>,
    /// Where in `present` each chunk is; of no meaning for one that was given back.
    places: Vec<u32>,
    len: usize,
    /// Heap bytes of keys and values beyond their entries.
    heap_bytes: usize,
    /// Entries that only say a key is absent.
    known_absent: usize,
    /// Entries with an expiry set on them. It is changed under exclusive guards only, as this is.
    expiring: usize,
    /// Which entries changed.
    changes: Changes,
}

impl Slab {
    /// Entries, marks of absent keys included.
    pub(super) fn len(&self) -> usize {
        self.tally.len
    }

    /// Entries that only say a key is absent.
    pub(super) fn known_absent(&self) -> usize {
        self.tally.known_absent
    }

    /// Entries with an expiry set on them.
    pub(super) fn expiring(&self) -> usize {
        self.tally.expiring
    }

    /// Bytes of the chunks, keys and values.
    pub(super) fn heap_bytes(&self) -> usize {
        self.tally.present.len() * size_of::<Chunk>()
            + self.chunks.capacity() * size_of::<Option<Box<Chunk>>>()
            + self.tally.used.capacity() * size_of::<u128>()
            + (self.tally.with_room.capacity() + self.tally.present.capacity() + self.tally.places.capacity())
                * size_of::<u32>()
            + self.tally.heap_bytes
            + self.tally.changes.heap_bytes()
    }

    /// Which entries changed.
    pub(super) fn changes(&mut self) -> &mut Changes {
        &mut self.tally.changes
    }

    /// How much of what changed is not collected.
    pub(super) fn changed(&self) -> usize {
        self.tally.changes.len()
    }

    /// The entry at `slot`, which must hold one, and which entries changed.
    pub(super) fn entry_and_changes(&mut self, slot: u32) -> (&Entry, &mut Changes) {
        let chunk = self.chunks[index(slot / CHUNK_ENTRIES)].as_ref();
        let entry = &chunk.expect("a used slot has its chunk").0[index(slot % CHUNK_ENTRIES)];
        (entry, &mut self.tally.changes)
    }

    /// The entry at `slot`, which must hold one.
    #[inline]
    pub(super) fn entry(&self, slot: u32) -> &Entry {
        let chunk = self.chunks[index(slot / CHUNK_ENTRIES)].as_ref();
        &chunk.expect("a used slot has its chunk").0[index(slot % CHUNK_ENTRIES)]
    }

    /// Changes the entry at `slot`, which must hold one, under an exclusive guard.
    pub(super) fn change<R>(&mut self, slot: u32, change: impl FnOnce(&mut Entry) -> R) -> R {
        let chunk = self.chunks[index(slot / CHUNK_ENTRIES)].as_mut();
        let entry = &mut chunk.expect("a used slot has its chunk").0[index(slot % CHUNK_ENTRIES)];
        self.tally.leave(entry);
        let result = change(entry);
        self.tally.enter(entry);
        result
    }

    /// Puts `entry` into a vacant slot.
    pub(super) fn insert(&mut self, mut entry: Entry) -> u32 {
        debug_assert!(!matches!(entry.value, Value::Vacant), "only values are inserted");
        let tally = &mut *self.tally;
        tally.enter(&mut entry);
        let number = if let Some(&number) = tally.with_room.last() {
            number
        } else {
            let number = count(self.chunks.len());
            self.chunks.push(None);
            tally.used.push(0);
            tally.places.push(0);
            tally.with_room.push(number);
            number
        };
        let used = &mut tally.used[index(number)];
        let place = (!*used).trailing_zeros();
        let chunk = self.chunks[index(number)].get_or_insert_with(|| {
            tally.places[index(number)] = count(tally.present.len());
            tally.present.push(number);
            vacant_chunk()
        });
        chunk.0[index(place)] = entry;
        *used |= 1 << place;
        if *used == FULL {
            tally.with_room.pop();
        }
        tally.len += 1;
        number * CHUNK_ENTRIES + place
    }

    /// Takes the entry out of `slot`, which must hold one.
    pub(super) fn remove(&mut self, slot: u32) -> Entry {
        let number = slot / CHUNK_ENTRIES;
        let chunk = &mut self.chunks[index(number)];
        let place = &mut chunk.as_mut().expect("a used slot has its chunk").0[index(slot % CHUNK_ENTRIES)];
        let mut entry = std::mem::replace(place, Entry::vacant());
        let tally = &mut *self.tally;
        tally.leave(&mut entry);
        let used = &mut tally.used[index(number)];
        if *used == FULL {
            tally.with_room.push(number);
        }
        *used &= !(1 << (slot % CHUNK_ENTRIES));
        // One empty chunk is kept, so that a key that comes and goes does not allocate each time.
        if *used == 0 && tally.with_room.len() > 1 {
            *chunk = None;
            let place = tally.places[index(number)];
            tally.present.swap_remove(index(place));
            if let Some(&moved) = tally.present.get(index(place)) {
                tally.places[index(moved)] = place;
            }
        }
        tally.len -= 1;
        entry
    }

    /// The first slot at or after `from` that holds an entry.
    pub(super) fn next_used(&self, from: u32) -> Option<u32> {
        let first = index(from / CHUNK_ENTRIES);
        let mut mask = u128::MAX << (from % CHUNK_ENTRIES);
        for (number, used) in self.tally.used.iter().enumerate().skip(first) {
            let used = used & mask;
            if used != 0 {
                return Some(count(number) * CHUNK_ENTRIES + used.trailing_zeros());
            }
            mask = u128::MAX;
        }
        None
    }

    /// A used slot, chosen at random: of the chunks in memory one is chosen, the fuller the likelier, in it any entry. Where all
    /// chunks have few, their entries are chosen alike too; only where they differ much, those in the emptier come more often.
    pub(super) fn sample(&self, random: &mut Random) -> Option<u32> {
        let present = &self.tally.present;
        let (mut number, mut used) = (0, 0_u128);
        for _ in 0..CHUNKS_TRIED {
            number = *present.get(random.below(present.len()))?;
            used = self.tally.used[index(number)];
            if random.below(index(CHUNK_ENTRIES)) < index(used.count_ones()) {
                break;
            }
        }
        if used == 0 {
            // An empty chunk is kept beside few others.
            return self.next_used(0);
        }
        let rank = u32::try_from(random.below(index(used.count_ones()))).ok()?;
        Some(number * CHUNK_ENTRIES + place_of_one(used, rank))
    }

    /// Bytes of the chunks where no entry is.
    pub(super) fn vacant_bytes(&self) -> usize {
        self.tally.present.len() * size_of::<Chunk>() - self.tally.len * size_of::<Entry>()
    }

    /// One more than the highest slot number ever used.
    pub(super) fn slots(&self) -> u32 {
        count(self.chunks.len()) * CHUNK_ENTRIES
    }
}

impl Tally {
    fn enter(&mut self, entry: &mut Entry) {
        self.heap_bytes += entry.heap_bytes();
        self.known_absent += usize::from(entry.is_known_absent());
        self.expiring += usize::from(entry.has_expiry());
    }

    fn leave(&mut self, entry: &mut Entry) {
        self.heap_bytes -= entry.heap_bytes();
        self.known_absent -= usize::from(entry.is_known_absent());
        self.expiring -= usize::from(entry.has_expiry());
    }
}

fn count(chunks: usize) -> u32 {
    u32::try_from(chunks).expect("a shard has under 2^32 chunks")
}

/// The place of the bit that has `rank` set bits below it.
fn place_of_one(mut bits: u128, mut rank: u32) -> u32 {
    let mut place = 0;
    let mut width = u128::BITS / 2;
    while width > 0 {
        let below = (bits & ((1 << width) - 1)).count_ones();
        if rank >= below {
            rank -= below;
            bits >>= width;
            place += width;
        }
        width /= 2;
    }
    place
}

fn vacant_chunk() -> Box<Chunk> {
    Box::new(Chunk(std::array::from_fn(|_| Entry::vacant())))
}

#[inline]
fn index(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit a usize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::key::Key;

    fn entry(number: u32) -> Entry {
        let mut entry = Entry::vacant();
        entry.value = Value::Integer;
        entry.key = Key::new(&number.to_le_bytes());
        entry
    }

    #[test]
    fn slots_stay_while_others_come_and_go() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..1_000).map(|number| slab.insert(entry(number))).collect();
        for slot in slots.iter().step_by(2) {
            slab.remove(*slot);
        }
        assert_eq!(slab.len(), 500);
        for (number, slot) in slots.iter().enumerate().skip(1).step_by(2) {
            let number = u32::try_from(number).unwrap();
            assert_eq!(slab.entry(*slot).key.as_bytes(), number.to_le_bytes());
        }
        let capacity = slab.slots();
        for number in 0..500 {
            slab.insert(entry(number));
        }
        assert_eq!(slab.slots(), capacity, "vacant slots are used again");
    }

    #[test]
    fn iteration_meets_each_used_slot_once() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..200).map(|number| slab.insert(entry(number))).collect();
        for slot in &slots[10..150] {
            slab.remove(*slot);
        }
        let mut met = Vec::new();
        let mut from = 0;
        while let Some(slot) = slab.next_used(from) {
            met.push(slot);
            from = slot + 1;
        }
        assert_eq!(met.len(), 60);
    }

    #[test]
    fn samples_are_of_all_entries_alike() {
        assert_eq!(Slab::default().sample(&mut Random::from_number(1)), None);
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..300).map(|number| slab.insert(entry(number))).collect();
        for slot in &slots[20..100] {
            slab.remove(*slot);
        }
        let mut random = Random::from_number(1);
        let mut met = std::collections::BTreeMap::new();
        for _ in 0..220 * 1_000 {
            *met.entry(slab.sample(&mut random).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(met.len(), 220);
        assert!(met.keys().all(|&slot| slab.next_used(slot) == Some(slot)));
        let (least, most) = (met.values().min().unwrap(), met.values().max().unwrap());
        assert!((700..1_000).contains(least) && (1_000..1_900).contains(most), "{least} to {most}");
    }

    #[test]
    fn a_bit_is_found_by_its_rank() {
        for bits in [1, 1 << 127, u128::MAX, 0x8000_0000_0000_0001_F0F0_0000_0000_0010] {
            let places: Vec<u32> = (0..128).filter(|place| bits >> place & 1 == 1).collect();
            let found: Vec<u32> = (0..bits.count_ones()).map(|rank| place_of_one(bits, rank)).collect();
            assert_eq!(found, places);
        }
    }

    #[test]
    fn empty_chunks_give_their_memory_back() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..10_000).map(|number| slab.insert(entry(number))).collect();
        let full = slab.heap_bytes();
        for slot in slots {
            slab.remove(slot);
        }
        assert!(slab.heap_bytes() < full / 20, "{} of {full} bytes stay", slab.heap_bytes());
    }
}
