//! How often each sort of error was answered, by the word that errors begin with.

use std::collections::BTreeMap;

/// Sorts that are told apart, as in Redis. The server itself has about ten; beyond, all are one.
const MOST_CODES: usize = 128;

/// Under what errors are counted when there are too many sorts.
const OTHER_CODE: &str = "OTHER";

/// Counts errors by their first word.
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    /// Few, and most errors are of the first sort that came: looking through them is cheap.
    counts: Vec<(Box<str>, u64)>,
}

impl ErrorCounts {
    /// Counts an error with this text: `ERR syntax error`.
    pub fn count(&mut self, text: &str) {
        let code = text.split(' ').next().unwrap_or_default();
        if self.add(code) {
            return;
        }
        if self.counts.len() < MOST_CODES - 1 {
            self.counts.push((code.into(), 1));
        } else if !self.add(OTHER_CODE) {
            self.counts.push((OTHER_CODE.into(), 1));
        }
    }

    fn add(&mut self, code: &str) -> bool {
        let known = self.counts.iter_mut().find(|(known, _)| **known == *code);
        known.map(|(_, count)| *count += 1).is_some()
    }

    /// The sums of several, by sort.
    #[must_use]
    pub fn merged(all: impl Iterator<Item = Self>) -> BTreeMap<Box<str>, u64> {
        let mut sums = BTreeMap::new();
        for (code, count) in all.flat_map(|errors| errors.counts) {
            *sums.entry(code).or_default() += count;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word_and_sorts_are_bounded() {
        let mut errors = ErrorCounts::default();
        for text in ["ERR one", "WRONGTYPE two", "ERR three", "ERR"] {
            errors.count(text);
        }
        let sums = ErrorCounts::merged([errors.clone(), errors.clone()].into_iter());
        assert_eq!(sums.into_iter().collect::<Vec<_>>(), [("ERR".into(), 6), ("WRONGTYPE".into(), 2)]);
        (0..1_000).for_each(|number| errors.count(&format!("E{number} text")));
        let sums = ErrorCounts::merged(std::iter::once(errors));
        assert_eq!((sums.len(), sums.values().sum::<u64>()), (MOST_CODES, 1_004));
        assert_eq!(sums[OTHER_CODE], 1_004 - 3 - 1 - (MOST_CODES as u64 - 3));
    }
}
