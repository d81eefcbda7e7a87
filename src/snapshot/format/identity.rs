//! The name of a snapshot: what it holds the state of.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::error::{FormatError, Place};
use crate::clock::Timestamp;

/// The last second that has a date in every time zone: 9999-12-30, 22:00:00 UTC.
const LAST_SECOND: u64 = 253_402_207_200;

/// How the time is written.
const TIME_FORM: &str = "%Y%m%dT%H%M%SZ";

/// Which snapshot: `20261126T181512Z-3-12345` is the state at the cut of batch 12345 in epoch 3, made at that second UTC.
///
/// Snapshots are in the order of (epoch, seq, time): a clock that was wrong orders nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotId {
    cut_second: u64,
    epoch: u64,
    seq: u64,
}

impl SnapshotId {
    /// That of the cut at `cut_at`; a time behind the year 9999 counts as its end.
    #[must_use]
    pub fn new(cut_at: Timestamp, epoch: u64, seq: u64) -> Self {
        Self { cut_second: cut_at.as_secs().min(LAST_SECOND), epoch, seq }
    }

    /// When the cut was, in whole seconds.
    #[must_use]
    pub const fn cut_at(self) -> Timestamp {
        Timestamp::from_micros(self.cut_second * 1_000_000)
    }

    /// The epoch of the cut.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// The number of the batch that was cut.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.seq
    }

    /// The seconds, the epoch and the number: what a header keeps.
    pub(super) const fn numbers(self) -> [u64; 3] {
        [self.cut_second, self.epoch, self.seq]
    }

    /// From the numbers that a header keeps; `None` for a time that has no form.
    pub(super) fn from_numbers([cut_second, epoch, seq]: [u64; 3]) -> Option<Self> {
        (cut_second <= LAST_SECOND).then_some(Self { cut_second, epoch, seq })
    }
}

impl Ord for SnapshotId {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |id: &Self| (id.epoch, id.seq, id.cut_second);
        order(self).cmp(&order(other))
    }
}

impl PartialOrd for SnapshotId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = i64::try_from(self.cut_second.min(LAST_SECOND)).expect("the last second fits");
        let time = jiff::Timestamp::from_second(second).map_err(|_| fmt::Error)?;
        write!(formatter, "{}-{}-{}", time.strftime(TIME_FORM), self.epoch, self.seq)
    }
}

impl FromStr for SnapshotId {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        // A number has one form, so that a snapshot has one name.
        let id = parse(text).filter(|id| id.to_string() == text);
        id.ok_or_else(|| {
            let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
            FormatError::refused(
                Place::SnapshotId,
                format_args!("'{shown}' is none; it is as 20261126T181512Z-3-12345: UTC time, epoch, number"),
            )
        })
    }
}

fn parse(text: &str) -> Option<SnapshotId> {
    let mut fields = text.splitn(3, '-');
    let time = jiff::civil::DateTime::strptime(TIME_FORM, fields.next()?).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let cut_second = u64::try_from(time.as_second()).ok()?;
    let epoch = fields.next()?.parse().ok()?;
    let seq = fields.next()?.parse().ok()?;
    Some(SnapshotId { cut_second, epoch, seq })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let check = |micros: u64, epoch: u64, seq: u64, expected: &str| {
            let id = SnapshotId::new(Timestamp::from_micros(micros), epoch, seq);
            assert_eq!(id.to_string(), expected);
            assert_eq!(expected.parse(), Ok(id));
            assert_eq!(SnapshotId::from_numbers(id.numbers()), Some(id));
        };
        check(1_795_716_912_999_999, 3, 12_345, "20261126T181512Z-3-12345");
        check(0, 0, 0, "19700101T000000Z-0-0");
        check(u64::MAX, u64::MAX, 1, "99991230T220000Z-18446744073709551615-1");
        assert_eq!(SnapshotId::from_numbers([LAST_SECOND + 1, 0, 0]), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "20261126T181512Z",
            "20261126T181512Z-3",
            "20261126T181512Z-3-",
            "20261126T181512Z-03-1",
            "20261126T181512Z-+3-1",
            "20261126T181512Z-3-1-",
            "20261126T181512-3-1",
            "20261126T181560Z-3-1",
            "20260229T181512Z-3-1",
            "19691231T235959Z-3-1",
            " 20261126T181512Z-3-1",
            "20261126T181512Z-3-18446744073709551616",
        ] {
            let error = text.parse::<SnapshotId>().unwrap_err().to_string();
            assert!(error.starts_with("name of a snapshot: '"), "{error}");
        }
    }

    #[test]
    fn the_epoch_orders_first_and_the_clock_last() {
        let parse = |text: &str| text.parse::<SnapshotId>().unwrap();
        let ordered = [
            "20270101T000000Z-3-9",
            "20260101T000000Z-3-10",
            "20270101T000000Z-3-10",
            "20250101T000000Z-4-1",
        ];
        assert!(ordered.map(parse).is_sorted());
    }
}
