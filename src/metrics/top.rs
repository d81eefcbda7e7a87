//! The heaviest subjects of a stream, in bounded memory.
//!
//! The Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005): a subject that is not counted yet takes the place of
//! the lightest and inherits its count, so a count is too high by at most the lightest count, and every subject heavier than
//! total / capacity is among them. Subjects that are forgotten leave room; who comes then may have been counted before and lost
//! its place, so it inherits the highest count that was ever lost.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use hashbrown::HashTable;

/// Subjects counted per thread: every subject with over 0.4 % of the calls is found, in some 30 KiB.
const CAPACITY: usize = 256;

/// Capacity for a subject that its place keeps when a shorter one follows: a few long subjects must not stay for ever.
const KEPT_BYTES: usize = 128;

/// A subject with its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heavy {
    /// Its database.
    pub database: u8,
    /// The subject.
    pub subject: Box<[u8]>,
    /// How often it was counted, at most `error` too high.
    pub count: u64,
    /// How much of `count` may belong to others.
    pub error: u64,
}

/// Counts the heaviest subjects. A turn that takes counts one, so neither finding a subject nor replacing the lightest
/// looks at all of them.
#[derive(Clone, Debug, Default)]
pub struct TopSubjects {
    /// The subjects, each in a place of its own.
    places: Vec<Counted>,
    /// Places by the hash of their subjects.
    by_subject: HashTable<usize>,
    /// Places as a binary heap, the lightest first: no place's count is above its children's, at twice its position and behind.
    heap: Vec<usize>,
    /// The highest count that was given up for another subject.
    lost: u64,
    hashing: foldhash::fast::RandomState,
}

#[derive(Clone, Debug)]
struct Counted {
    database: u8,
    subject: Vec<u8>,
    hash: u64,
    count: u64,
    error: u64,
    /// Where in the heap its place is.
    position: usize,
}

impl Counted {
    fn is(&self, database: u8, subject: &[u8]) -> bool {
        self.database == database && self.subject == subject
    }
}

impl TopSubjects {
    /// Counts `weight` for a subject.
    pub fn count(&mut self, database: u8, subject: &[u8], weight: u64) {
        let hash = self.hashing.hash_one((database, subject));
        if let Some(&place) = self.by_subject.find(hash, |&place| self.places[place].is(database, subject)) {
            self.places[place].count += weight;
            self.move_down(self.places[place].position);
        } else if self.places.len() < CAPACITY {
            let (count, error) = (self.lost + weight, self.lost);
            self.add(Counted { database, subject: subject.into(), hash, count, error, position: 0 });
        } else {
            self.replace_lightest(database, subject, hash, weight);
        }
    }

    fn add(&mut self, mut counted: Counted) {
        let place = self.places.len();
        counted.position = place;
        let places = &self.places;
        self.by_subject.insert_unique(counted.hash, place, |&place| places[place].hash);
        self.places.push(counted);
        self.heap.push(place);
        self.move_up(place);
    }

    fn replace_lightest(&mut self, database: u8, subject: &[u8], hash: u64, weight: u64) {
        let place = self.heap[0];
        if let Ok(entry) = self.by_subject.find_entry(self.places[place].hash, |&other| other == place) {
            entry.remove();
        }
        let counted = &mut self.places[place];
        counted.database = database;
        counted.subject.clear();
        counted.subject.extend_from_slice(subject);
        counted.subject.shrink_to(KEPT_BYTES);
        counted.hash = hash;
        self.lost = self.lost.max(counted.count);
        counted.error = self.lost;
        counted.count = self.lost + weight;
        let places = &self.places;
        self.by_subject.insert_unique(hash, place, |&place| places[place].hash);
        self.move_down(0);
    }

    /// Forgets these subjects of a database.
    pub fn forget<'s>(&mut self, database: u8, subjects: impl Iterator<Item = &'s [u8]>) {
        if self.places.is_empty() {
            return;
        }
        for subject in subjects {
            let hash = self.hashing.hash_one((database, subject));
            if self.by_subject.find(hash, |&place| self.places[place].is(database, subject)).is_some() {
                self.retain(|counted| !counted.is(database, subject));
            }
        }
    }

    /// Forgets every subject of a database.
    pub fn forget_database(&mut self, database: u8) {
        self.retain(|counted| counted.database != database);
        if self.places.is_empty() {
            self.lost = 0;
        }
    }

    fn retain(&mut self, keep: impl Fn(&Counted) -> bool) {
        let before = std::mem::take(&mut self.places);
        self.by_subject.clear();
        self.heap.clear();
        before.into_iter().filter(keep).for_each(|counted| self.add(counted));
    }

    fn weight_at(&self, position: usize) -> u64 {
        self.places[self.heap[position]].count
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.places[self.heap[one]].position = one;
        self.places[self.heap[other]].position = other;
    }

    /// Restores the heap's order after the count at `position` grew.
    fn move_down(&mut self, mut position: usize) {
        loop {
            let children = 2 * position + 1..(2 * position + 3).min(self.heap.len());
            let Some(lighter) = children.min_by_key(|&child| self.weight_at(child)) else { return };
            if self.weight_at(position) <= self.weight_at(lighter) {
                return;
            }
            self.swap(position, lighter);
            position = lighter;
        }
    }

    /// Restores the heap's order after a count was put at `position`.
    fn move_up(&mut self, mut position: usize) {
        while position > 0 && self.weight_at((position - 1) / 2) > self.weight_at(position) {
            self.swap(position, (position - 1) / 2);
            position = (position - 1) / 2;
        }
    }

    /// The `count` heaviest of several, heaviest first; counts of one subject are added.
    #[must_use]
    pub fn merged(tops: impl Iterator<Item = Self>, count: usize) -> Vec<Heavy> {
        let mut sums: HashMap<_, Heavy> = HashMap::new();
        for Counted { database, subject, count, error, .. } in tops.flat_map(|top| top.places) {
            let sum = sums.entry((database, subject.clone())).or_insert_with(|| Heavy {
                database,
                subject: subject.into(),
                count: 0,
                error: 0,
            });
            sum.count += count;
            sum.error += error;
        }
        let mut all: Vec<Heavy> = sums.into_values().collect();
        all.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.subject.cmp(&other.subject)));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_subjects_are_counted_exactly() {
        let mut top = TopSubjects::default();
        for (subject, count) in [("a", 3), ("b", 7), ("c", 1)] {
            (0..count).for_each(|_| top.count(0, subject.as_bytes(), 1));
        }
        let heavy = TopSubjects::merged([top.clone(), top].into_iter(), 2);
        assert_eq!(heavy.iter().map(|heavy| heavy.count).collect::<Vec<_>>(), [14, 6]);
        assert_eq!(&*heavy[0].subject, b"b");
    }

    #[test]
    fn the_lightest_is_what_leaves() {
        // Against the plain form of the algorithm, with its choice among equally light ones.
        let mut top = TopSubjects::default();
        let mut total = 0;
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..50_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (subject, weight) = (random % 700 * (random >> 20 & 1), 1 + (random >> 40) % 5);
            let known = top.places.iter().any(|counted| counted.subject == subject.to_le_bytes());
            let lightest = top.places.iter().map(|counted| counted.count).min();
            let inherited = if known || top.places.len() < CAPACITY { 0 } else { lightest.unwrap() };
            top.count(0, &subject.to_le_bytes(), weight);
            total += weight;
            let counted = top.places.iter().find(|counted| counted.subject == subject.to_le_bytes()).unwrap();
            assert!(known || (counted.count, counted.error) == (inherited + weight, inherited));
            assert_eq!(top.by_subject.len(), top.places.len());
            let positions = (0..top.heap.len()).all(|at| top.places[top.heap[at]].position == at);
            assert!(
                positions && (1..top.heap.len()).all(|at| top.weight_at((at - 1) / 2) <= top.weight_at(at))
            );
        }
        // What leaves hands its count on, so nothing is lost or doubled.
        assert_eq!(top.places.iter().map(|counted| counted.count).sum::<u64>(), total);
        let mut subjects: Vec<_> = top.places.iter().map(|counted| counted.subject.clone()).collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), CAPACITY);
    }

    #[test]
    fn forgotten_subjects_are_gone_and_no_count_is_too_low() {
        let mut top = TopSubjects::default();
        for subject in ["a", "b"] {
            top.count(0, subject.as_bytes(), 5);
            top.count(1, subject.as_bytes(), 7);
        }
        top.forget(0, [&b"a"[..], b"absent"].into_iter());
        let told = |top: &TopSubjects| {
            let heavy = TopSubjects::merged(std::iter::once(top.clone()), 300);
            heavy.iter().map(|heavy| (heavy.database, heavy.count)).collect::<Vec<_>>()
        };
        assert_eq!(told(&top), [(1, 7), (1, 7), (0, 5)]);
        top.forget_database(1);
        assert_eq!(told(&top), [(0, 5)]);
        // One subject more than there is room for: the first was counted 5 times and lost its place.
        let all: Vec<[u8; 2]> = (0..256u16).map(u16::to_le_bytes).collect();
        all.iter().for_each(|subject| top.count(0, subject, 9));
        assert_eq!(top.lost, 5);
        top.forget(0, all[1..].iter().map(|subject| &subject[..]));
        top.count(0, b"b", 1);
        let heavy = TopSubjects::merged(std::iter::once(top.clone()), 1);
        assert_eq!(
            (heavy.len(), top.places.iter().find(|counted| counted.is(0, b"b")).unwrap().count),
            (1, 6),
            "at least its true 6"
        );
        top.forget_database(0);
        top.count(0, b"b", 1);
        assert_eq!(told(&top), [(0, 1)]);
    }

    #[test]
    fn a_heavy_subject_is_found_among_many() {
        let mut top = TopSubjects::default();
        for number in 0..100_000u32 {
            top.count(0, &number.to_le_bytes(), 1);
            if number % 50 == 0 {
                top.count(0, b"heavy", 1);
            }
        }
        let heavy = TopSubjects::merged(std::iter::once(top), 1);
        assert_eq!(&*heavy[0].subject, b"heavy");
        assert!(heavy[0].count >= 2_000 && heavy[0].count - heavy[0].error <= 2_000);
    }
}
