//! Eviction: entries leave memory to make room, chosen from samples as Redis does.
//!
//! In front of a truth only entries leave that it has as they are, so an evicted key is unknown afterwards and comes back by a
//! fetch. An evicted key that no truth has is gone.

use super::entry::{Entry, Value};
use super::generation::Mark;
use super::random::Random;
use super::shards::{Place, SHARDS};
use super::table::Table;
use super::{DATABASES, Engine};
use crate::clock::Timestamp;

/// Which entries leave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Those that were used least recently, of all keys.
    AllKeysLru,
    /// Those that end next, of the keys with an expiry set on them. The end of a quota follows from its limits and nobody set it,
    /// so quotas stay, as keys without EXPIRE do in Redis.
    VolatileTtl,
}

/// How much is to leave; whatever is reached first ends the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes, as [`Evicted::bytes`] counts them.
    pub bytes: usize,
    /// Entries.
    pub entries: usize,
}

/// What left memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Keys with a value.
    pub keys: usize,
    /// Marks that a key is absent.
    pub marks: usize,
    /// Bytes of both. Their places in memory are used again by the next entries; whole chunks of vacant ones are given back.
    pub bytes: usize,
}

/// Entries looked at for one that leaves: with 10 Redis comes very close to the least recently used of all; 8 are looked at
/// under one guard in about a microsecond.
const SAMPLES: usize = 8;

/// The most entries that leave in a call: about a quarter of a millisecond.
const MOST_ENTRIES: usize = 128;

/// Samples that are taken in vain for each entry that leaves, when most may not: in an outage of the truth hardly any may.
const TRIES_PER_ENTRY: usize = 4;

/// Shards of a database that are looked at to guess its number of entries. Keys are spread evenly, so a few tell.
const WEIGHED_SHARDS: usize = 8;

/// Seconds after which a mark that a key is absent leaves before all else. One that was fetched just now is about to be asked for.
const MARK_SECS: u64 = 1;

/// Idle for longer than this is a clock that was set back after the last use.
const LONGEST_IDLE_SECS: u64 = 1 << 31;

impl Engine {
    /// Lets entries leave memory until there is what `need` asks for, or so many were looked at in vain that the call has taken
    /// its time: then there may be more behind another call. `random` is another number each time.
    pub fn evict(&self, policy: Eviction, need: Need, random: u64, now: Timestamp) -> Evicted {
        let mut evicted = Evicted::default();
        let mut random = Random::from_number(random);
        let most = need.entries.min(MOST_ENTRIES);
        if self.durable.has_truth() {
            self.residency.left.prepare();
        }
        let databases = self.weigh(&mut random);
        for _ in 0..most * TRIES_PER_ENTRY {
            if evicted.bytes >= need.bytes || evicted.keys + evicted.marks >= most {
                break;
            }
            let Some(place) = self.filled_place(&databases, &mut random) else { break };
            let Some(entry) = self.evict_sampled(place, policy, &mut random, now) else { continue };
            evicted.bytes += entry.memory_bytes();
            if entry.is_known_absent() {
                evicted.marks += 1;
            } else {
                evicted.keys += 1;
            }
        }
        evicted
    }

    /// Takes the entry of a sample that is to leave first out of its table, if it still is under the exclusive guard.
    fn evict_sampled(
        &self,
        place: Place,
        policy: Eviction,
        random: &mut Random,
        now: Timestamp,
    ) -> Option<Entry> {
        let database = place.database();
        let (slot, urgency) = {
            let table = self.shards.read(place);
            self.most_urgent(database, &table, policy, random, now)?
        };
        let mut table = self.shards.write(place);
        let is_still = table.next_used(slot) == Some(slot)
            && self.urgency(database, table.entry(slot), policy, now).is_some_and(|now| now >= urgency)
            && self.may_leave(table.entry(slot), database);
        if !is_still {
            return None;
        }
        let entry = table.entry(slot);
        if self.is_tracked(database) && !entry.is_known_absent() {
            self.residency.note_left(database, self.hasher.hash(entry.key.as_bytes()));
        }
        table.leave_snapshot(slot, self.tracking(database));
        Some(table.remove(&self.hasher, slot))
    }

    fn most_urgent(
        &self,
        database: u8,
        table: &Table,
        policy: Eviction,
        random: &mut Random,
        now: Timestamp,
    ) -> Option<(u32, u64)> {
        let samples = (0..SAMPLES).map_while(|_| table.sample(random));
        let urgent =
            samples.filter_map(|slot| Some((slot, self.urgency(database, table.entry(slot), policy, now)?)));
        urgent.max_by_key(|&(_, urgency)| urgency)
    }

    /// How soon an entry is to leave: the largest number first; `None`: it may not. Those in flight, which are seldom in memory,
    /// are told apart only when they are about to leave.
    fn urgency(&self, database: u8, entry: &Entry, policy: Eviction, now: Timestamp) -> Option<u64> {
        let idle_secs = Some(entry.idle_secs(now)).filter(|&secs| secs < LONGEST_IDLE_SECS).unwrap_or(0);
        let urgency = match (&entry.value, policy) {
            (Value::Vacant, _) => None,
            (Value::KnownAbsent, _) => Some(if idle_secs >= MARK_SECS { u64::MAX } else { 0 }),
            (_, Eviction::AllKeysLru) => Some(idle_secs),
            (_, Eviction::VolatileTtl) => entry.expiry().as_millis().map(|end| u64::MAX - end.max(1)),
        };
        urgency.filter(|_| self.is_as_in_truth(database, entry))
    }

    /// Whether an entry may leave memory without being missed: the truth has it as it is, and no answer is on its way. Under the
    /// exclusive guard it stays so.
    pub(super) fn may_leave(&self, entry: &Entry, database: u8) -> bool {
        self.is_as_in_truth(database, entry) && !self.fetches.holds(database, entry.key.as_bytes())
    }

    /// Whether the truth has an entry as it is, and nothing older can come from there. While the truth is loaded, what changed
    /// since the start does not count although it was applied: a page that was read before may come yet. Always of what no truth has.
    fn is_as_in_truth(&self, database: u8, entry: &Entry) -> bool {
        let tracking = self.tracking(database);
        if tracking.has_truth() && self.residency.is_loading() {
            entry.mark() == Mark::CLEAN
        } else {
            tracking.is_clean(entry)
        }
    }

    /// A shard with entries: any, or the next behind it that has some. `None`: none has.
    fn filled_place(&self, databases: &Weights, random: &mut Random) -> Option<Place> {
        let database = databases.choose(random)?;
        let first = random.below(SHARDS);
        let shards = (first..SHARDS).chain(0..first).filter_map(|shard| u16::try_from(shard).ok());
        let mut places = shards.map(|shard| Place::at(database, shard));
        places.find(|&place| self.shards.read(place).len() > 0)
    }

    /// Guesses how many entries each database has.
    fn weigh(&self, random: &mut Random) -> Weights {
        let mut weights = Weights([0; DATABASES]);
        for (database, weight) in (0..).zip(&mut weights.0) {
            if self.shards.is_used(database) {
                let shards = (0..WEIGHED_SHARDS).filter_map(|_| u16::try_from(random.below(SHARDS)).ok());
                *weight = shards.map(|shard| self.shards.read(Place::at(database, shard)).len()).sum();
            }
        }
        if weights.0.iter().all(|&weight| weight == 0) {
            // All are too small to be met by chance.
            for (database, weight) in (0..).zip(&mut weights.0) {
                *weight = usize::from(self.tables(database).any(|place| self.shards.read(place).len() > 0));
            }
        }
        weights
    }
}

/// Entries of each database, as far as can be guessed.
struct Weights([usize; DATABASES]);

impl Weights {
    /// A database, the larger the likelier; `None`: all are empty.
    fn choose(&self, random: &mut Random) -> Option<u8> {
        let mut rest = random.below(self.0.iter().sum());
        (0..).zip(&self.0).find_map(|(database, &weight)| {
            let is_it = rest < weight;
            rest = rest.saturating_sub(weight);
            is_it.then_some(database)
        })
    }
}
