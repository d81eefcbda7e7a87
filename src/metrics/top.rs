//! The heaviest subjects of a stream, in bounded memory.
//!
//! The Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005): a subject that is not counted yet takes the place of
//! the lightest and inherits its count, so a count is too high by at most the lightest count, and every subject heavier than
//! total / capacity is among them.

use std::collections::HashMap;

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
    counts: HashMap<(u8, Box<[u8]>), Counted, foldhash::fast::RandomState>,
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
        let key = (database, Box::from(subject));
        if let Some(counted) = self.counts.get_mut(&key) {
            counted.count += weight;
            return;
        }
        let mut inherited = 0;
        if self.counts.len() >= CAPACITY {
            let lightest = self.counts.iter().min_by_key(|(_, counted)| counted.count);
            if let Some((lightest, counted)) = lightest.map(|(key, counted)| (key.clone(), *counted)) {
                inherited = counted.count;
                self.counts.remove(&lightest);
            }
        }
        self.counts.insert(key, Counted { count: inherited + weight, error: inherited });
    }

    /// The `count` heaviest of several, heaviest first; counts of one subject are added.
    #[must_use]
    pub fn merged(tops: impl Iterator<Item = Self>, count: usize) -> Vec<Heavy> {
        let mut sums: HashMap<(u8, Box<[u8]>), Counted> = HashMap::new();
        for (key, counted) in tops.flat_map(|top| top.counts) {
            let sum = sums.entry(key).or_default();
            sum.count += counted.count;
            sum.error += counted.error;
        }
        let mut all: Vec<Heavy> = sums
            .into_iter()
            .map(|((database, subject), Counted { count, error })| Heavy { database, subject, count, error })
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
