//! Sets of databases.

use super::DATABASES;

/// Some of the [`DATABASES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSet(u16);

impl DatabaseSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(u16::MAX);

    /// The same with one more; a number that none has changes nothing.
    #[must_use]
    pub const fn with(self, database: u8) -> Self {
        if (database as usize) < DATABASES { Self(self.0 | 1 << database) } else { self }
    }

    /// Whether it is one of them.
    #[inline]
    #[must_use]
    pub const fn contains(self, database: u8) -> bool {
        (database as usize) < DATABASES && self.0 >> database & 1 != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..u8::try_from(DATABASES).expect("there are few")).filter(move |&database| self.contains(database))
    }

    /// One bit for each.
    pub(super) const fn bits(self) -> u16 {
        self.0
    }
}

impl FromIterator<u8> for DatabaseSet {
    fn from_iter<I: IntoIterator<Item = u8>>(databases: I) -> Self {
        databases.into_iter().fold(Self::NONE, Self::with)
    }
}

const _: () = assert!(DATABASES == u16::BITS as usize, "a bit for each database");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = DatabaseSet::from_iter([3, 0, 15, 16, 3]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 15]);
        assert!(set.contains(3) && !set.contains(1) && !set.contains(16));
        assert!(DatabaseSet::ALL.iter().eq(0..16) && DatabaseSet::NONE.is_empty() && !set.is_empty());
        assert_eq!(set.and(DatabaseSet::from_iter([3, 4])), DatabaseSet::from_iter([3]));
    }
}
