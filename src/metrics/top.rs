//! The heaviest subjects of a stream, in bounded memory.
//!
//! The Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005): a subject that is not counted yet takes the place of
//! the lightest and inherits its count, so a count is too high by at most the lightest count, and every subject heavier than
//! total / capacity is among them. Subjects that are forgotten leave room; who comes then may have been counted before and lost
//! its place, so it inherits the highest count that was ever lost.

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

/// Subjects counted per thread: every subject with over 0.4 % of the calls is found, in some 30 KiB.
const CAPACITY: usize = 256;

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

/// Counts the heaviest subjects.
#[derive(Clone, Debug, Default)]
pub struct TopSubjects {
    counts: HashMap<Name, Counted, RandomState>,
    /// The highest count that was given up for another subject.
    lost: u64,
}

/// A database and a subject in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(u8, Box<[u8]>);

/// A name to look up.
#[derive(Hash)]
struct Wanted<'s>(u8, &'s [u8]);

impl Equivalent<Name> for Wanted<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.0 == name.0 && *self.1 == *name.1
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    count: u64,
    error: u64,
}

impl TopSubjects {
    /// Counts `weight` for a subject. Called at most once a turn for each sort of count, so looking for the lightest one by
    /// one is cheap enough.
    pub fn count(&mut self, database: u8, subject: &[u8], weight: u64) {
        if let Some(counted) = self.counts.get_mut(&Wanted(database, subject)) {
            counted.count += weight;
            return;
        }
        if self.counts.len() >= CAPACITY {
            let lightest = self.counts.iter().min_by_key(|(_, counted)| counted.count);
            if let Some((lightest, counted)) = lightest.map(|(name, counted)| (name.clone(), *counted)) {
                self.lost = self.lost.max(counted.count);
                self.counts.remove(&lightest);
            }
        }
        let counted = Counted { count: self.lost + weight, error: self.lost };
        self.counts.insert(Name(database, subject.into()), counted);
    }

    /// Forgets these subjects of a database.
    pub fn forget<'s>(&mut self, database: u8, subjects: impl Iterator<Item = &'s [u8]>) {
        if self.counts.is_empty() {
            return;
        }
        for subject in subjects {
            self.counts.remove(&Wanted(database, subject));
        }
    }

    /// Forgets every subject of a database.
    pub fn forget_database(&mut self, database: u8) {
        self.counts.retain(|name, _| name.0 != database);
        if self.counts.is_empty() {
            self.lost = 0;
        }
    }

    /// The `count` heaviest of several, heaviest first; counts of one subject are added.
    #[must_use]
    pub fn merged(tops: impl Iterator<Item = Self>, count: usize) -> Vec<Heavy> {
        let mut sums: HashMap<Name, Counted, RandomState> = HashMap::default();
        for (key, counted) in tops.flat_map(|top| top.counts) {
            let sum = sums.entry(key).or_default();
            sum.count += counted.count;
            sum.error += counted.error;
        }
        let mut all: Vec<Heavy> = sums
            .into_iter()
            .map(|(Name(database, subject), Counted { count, error })| Heavy {
                database,
                subject,
                count,
                error,
            })
            .collect();
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
        assert_eq!((heavy.len(), top.counts[&Wanted(0, b"b")].count), (1, 6), "at least its true 6");
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
