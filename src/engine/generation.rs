//! The numbers of generations, and what an entry knows of its last change.

/// Generations further apart than this are taken as counted past the end of 31 bits: the sweep takes marks away long before.
const LARGEST_DISTANCE: u32 = 1 << 29;

/// The last number of a generation. The one behind it would be 31 bits of ones, which [`Mark::PINNED`] has for itself.
const LAST: u32 = (u32::MAX >> 1) - 1;

/// Numbers a generation: 1 is the first, 0 none. 31 bits, counted on from 1 behind the end: at ten cuts a second in seven years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u32);

impl Generation {
    /// Nothing is tracked.
    pub(super) const NONE: Self = Self(0);
    /// The first.
    pub(super) const FIRST: Self = Self(1);

    pub(super) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u32 {
        self.0
    }

    pub(super) const fn next(self) -> Self {
        Self(if self.0 == LAST { 1 } else { self.0 + 1 })
    }

    /// The generation so many steps behind this one.
    #[must_use]
    pub fn plus(self, steps: u64) -> Self {
        let number = (u64::from(self.0) - 1 + steps % u64::from(LAST)) % u64::from(LAST) + 1;
        Self(u32::try_from(number).expect("it is at most the last number"))
    }

    /// Whether this is `other` or before it.
    pub(super) const fn is_up_to(self, other: Self) -> bool {
        (other.0.wrapping_sub(self.0) & (u32::MAX >> 1)) < LARGEST_DISTANCE
    }
}

/// What an entry knows of its last change: the generation, and whether it was collected for that; 0: never changed, or clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    /// Of an entry as the truth has it.
    pub(super) const CLEAN: Self = Self(0);

    /// Of an entry that the truth refused as it is: it is neither queued nor ever clean, until it changes again.
    pub(super) const PINNED: Self = Self(u32::MAX);

    #[inline]
    pub(super) const fn queued(generation: Generation) -> Self {
        Self(generation.0 << 1)
    }

    pub(super) const fn collected(generation: Generation) -> Self {
        Self(generation.0 << 1 | 1)
    }

    /// The generation of the last change; none where it is [`Mark::PINNED`] or [`Mark::CLEAN`].
    pub(super) const fn generation(self) -> Generation {
        match self {
            Self::PINNED => Generation::NONE,
            Self(bits) => Generation(bits >> 1),
        }
    }

    /// Whether the entry is owed to the generation of its mark.
    pub(super) const fn is_queued(self) -> bool {
        self.0 & 1 == 0 && self.0 != 0
    }

    /// Whether the entry was handed out for the generation of its mark.
    pub(super) const fn is_collected(self) -> bool {
        self.0 & 1 == 1 && self.0 != u32::MAX
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_generation_has_the_mark_of_what_is_pinned() {
        let last = Generation(LAST);
        assert_eq!(last.next(), Generation::FIRST);
        assert!(last.is_up_to(last.next()) && !last.next().is_up_to(last));
        for mark in [Mark::queued(last), Mark::collected(last)] {
            assert_ne!(mark, Mark::PINNED);
            assert_eq!(mark.generation(), last);
        }
    }

    #[test]
    fn steps_are_counted_past_the_end() {
        for steps in [0, 1, 5, u64::from(LAST) - 1, u64::from(LAST)] {
            let by_one = (0..steps % u64::from(LAST))
                .take(10)
                .fold(Generation::FIRST, |generation, _| generation.next());
            if steps < 10 {
                assert_eq!(Generation::FIRST.plus(steps), by_one);
            }
        }
        assert_eq!(Generation(LAST).plus(1), Generation::FIRST);
        assert_eq!(Generation(7).plus(u64::from(LAST)), Generation(7));
        assert_eq!(Generation(LAST).plus(u64::MAX).plus(1), Generation(LAST).plus(1).plus(u64::MAX));
    }

    #[test]
    fn a_mark_is_of_one_sort() {
        let generation = Generation(7);
        let sorts = |mark: Mark| (mark.is_queued(), mark.is_collected());
        assert_eq!(sorts(Mark::CLEAN), (false, false));
        assert_eq!(sorts(Mark::PINNED), (false, false));
        assert_eq!(sorts(Mark::queued(generation)), (true, false));
        assert_eq!(sorts(Mark::collected(generation)), (false, true));
    }
}
