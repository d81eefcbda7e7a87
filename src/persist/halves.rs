//! Finding what is refused among many by halving: a statement for all of a range, then for its halves where that is refused.

use std::ops::Range;

/// Ranges that are still to be tried, the next one last.
pub(super) struct Halves(Vec<Range<usize>>);

impl Halves {
    /// All of so many.
    #[expect(
        clippy::single_range_in_vec_init,
        reason = "it is a stack of ranges, of which there is one at first"
    )]
    pub(super) fn of(length: usize) -> Self {
        Self(vec![0..length])
    }

    /// The next range, in the order of the whole.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// Lets both halves of a range be tried in which something is refused; of a single one answers which it is.
    pub(super) fn halve(&mut self, range: Range<usize>) -> Option<usize> {
        if range.len() == 1 {
            return Some(range.start);
        }
        let middle = range.start.midpoint(range.end);
        self.0.extend([middle..range.end, range.start..middle]);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_found_and_all_else_taken_once() {
        for (length, refused) in
            [(1, &[0][..]), (7, &[]), (7, &[0, 3, 6]), (64, &[63]), (5, &[0, 1, 2, 3, 4])]
        {
            let (mut halves, mut found, mut taken) = (Halves::of(length), Vec::new(), Vec::new());
            while let Some(range) = halves.next() {
                if refused.iter().any(|at| range.contains(at)) {
                    found.extend(halves.halve(range));
                } else {
                    taken.extend(range);
                }
            }
            let others: Vec<_> = (0..length).filter(|at| !refused.contains(at)).collect();
            assert_eq!((&found[..], taken), (refused, others));
        }
    }
}
