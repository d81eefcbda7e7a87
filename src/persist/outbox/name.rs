//! Names: whose an outbox is, and which segment of it a file holds.

use std::fmt;

use crate::persist::store::{DataSetId, Id, OwnerId};

/// What the names of outboxes begin with.
const PREFIX: &str = "outbox-";

/// What the names of files begin and end with that are not finished, and those of segments end with.
const UNFINISHED: &str = ".tmp";
const SEGMENT: &str = ".log";

/// How long the text of an id is.
const ID_LENGTH: usize = 36;

/// Whose an outbox is: its batches are for this truth, in this epoch, by this owner, and for nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The data in the truth.
    pub data_set: DataSetId,
    /// The epoch the batches were made in.
    pub epoch: u64,
    /// Who made them.
    pub owner: OwnerId,
}

impl Name {
    /// Reads the name of a directory; `None` for anything else's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (data_set, rest) = text.strip_prefix(PREFIX)?.split_at_checked(ID_LENGTH)?;
        let (epoch, owner) = rest.strip_prefix('-')?.split_once('-')?;
        let name =
            Self { data_set: Id::parse(data_set)?, epoch: epoch.parse().ok()?, owner: Id::parse(owner)? };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}-{}-{}", self.data_set, self.epoch, self.owner)
    }
}

/// Which segment: in the order of their batches, and of those with the same first one, of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    /// The first number of its first batch.
    pub(super) first_seq: u64,
    /// Which file of this outbox it is; each has another.
    pub(super) number: u64,
}

impl SegmentName {
    /// The name of its file.
    pub(super) fn file(self) -> String {
        format!("{self}{SEGMENT}")
    }

    /// The name of its file for as long as it is not finished.
    pub(super) fn unfinished_file(self) -> String {
        format!("{self}{UNFINISHED}")
    }

    /// Reads the name of a file; tells too whether it was finished. `None` for anything else's.
    pub(super) fn parse(text: &str) -> Option<(Self, bool)> {
        let finished = text.strip_suffix(SEGMENT);
        let stem = finished.or_else(|| text.strip_suffix(UNFINISHED))?;
        let (first_seq, number) = stem.split_once('-')?;
        let name = Self { first_seq: first_seq.parse().ok()?, number: number.parse().ok()? };
        (name.to_string() == stem).then_some((name, finished.is_some()))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:020}-{:06}", self.first_seq, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_none() {
        let name = Name { data_set: Id([0xab; 16]), epoch: 12, owner: Id([1; 16]) };
        let text = "outbox-abababab-abab-abab-abab-abababababab-12-01010101-0101-0101-0101-010101010101";
        assert_eq!(name.to_string(), text);
        assert_eq!(Name::parse(text), Some(name));
        for other in
            ["", "outbox-", "lock", &text[1..], &text[..text.len() - 1], &text.replace("-12-", "-012-")]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert_eq!(Name::parse(&text.to_uppercase().replace("OUTBOX", "outbox")), None);
        assert_eq!(Name::parse("outbox-\u{e9}bababab-abab-abab-abab-abababababab-12-0101"), None);
    }

    #[test]
    fn names_of_segments_come_back_and_others_are_none() {
        let name = SegmentName { first_seq: 17, number: 3 };
        assert_eq!(name.file(), "00000000000000000017-000003.log");
        assert_eq!(SegmentName::parse(&name.file()), Some((name, true)));
        assert_eq!(SegmentName::parse(&name.unfinished_file()), Some((name, false)));
        let most = SegmentName { first_seq: u64::MAX, number: u64::MAX };
        assert_eq!(SegmentName::parse(&most.file()), Some((most, true)));
        for other in
            ["", ".log", "17-3.log", "00000000000000000017-000003", "00000000000000000017-+00003.log"]
        {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
