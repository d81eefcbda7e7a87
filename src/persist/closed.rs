//! Reading closed periods back from a truth: which of them belong to a state of the past, and in which pages.

use super::batch::ClosedPeriod;
use super::usage::readable_micros;
use crate::clock::Timestamp;
use crate::engine::DATABASES;
use crate::quota::Limit;

/// Which closed periods belong to the state behind a batch.
///
/// Those that were written by batches up to it; and those that ended before it, whenever they were written: a merged batch writes all of its
/// figures under its last number, and who comes late closes a period late, whose last figure was there all the same. What a later batch has
/// written again, where a clock was set back, has its later figure: the truth keeps no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedUntil {
    /// The number of the batch.
    pub seq: u64,
    /// When it was cut.
    pub at: Timestamp,
}

impl ClosedUntil {
    /// Whether a period that ended at `end`, and was written by batch `seq`, belongs to it.
    pub(super) fn has(&self, seq: u64, end: Timestamp) -> bool {
        seq <= self.seq || readable_micros(end) <= readable_micros(self.at)
    }
}

/// The place of a closed period in a store's own order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClosedPlace {
    /// Its database.
    pub database: i64,
    /// The subject, as the store finds it.
    pub key: Box<[u8]>,
    /// The name of the budget.
    pub limit_name: String,
    /// When it began, in microseconds since 1970.
    pub start_us: i64,
}

/// A part of all closed periods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedPage {
    /// Those that can be read, in the store's own order.
    pub periods: Vec<ClosedPeriod>,
    /// Rows that cannot be read: they are of no budget that this program knows.
    pub damaged: u64,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<ClosedPlace>,
}

/// A row of the table.
pub(super) struct FoundClosed {
    pub(super) place: ClosedPlace,
    /// The subject; `None`: the store does not know all of it.
    pub(super) subject: Option<Box<[u8]>>,
    pub(super) end_us: i64,
    pub(super) used: i64,
    pub(super) maximum: i64,
}

impl FoundClosed {
    /// The period; `None`: no quotad has written this row.
    fn period(&self) -> Option<ClosedPeriod> {
        let ClosedPlace { database, limit_name, start_us, .. } = &self.place;
        let database = u8::try_from(*database).ok().filter(|&number| usize::from(number) < DATABASES)?;
        let micros = |micros: i64| u64::try_from(micros).ok().map(Timestamp::from_micros);
        let (start, end) = (micros(*start_us)?, micros(self.end_us)?);
        let limit = Limit::of_budget_named(limit_name, u64::try_from(self.maximum).ok()?)?;
        let used = u64::try_from(self.used).ok()?;
        let subject = self.subject.clone()?;
        (start <= end).then_some(ClosedPeriod { database, subject, limit, start, end, used })
    }
}

/// The page of so many rows at most, which were found in their order.
pub(super) fn closed_page_of(found: Vec<FoundClosed>, most_rows: u32) -> ClosedPage {
    let is_whole = u32::try_from(found.len()).is_ok_and(|found| found >= most_rows);
    let next = found.last().map(|last| last.place.clone()).filter(|_| is_whole);
    let mut page = ClosedPage { next, ..ClosedPage::default() };
    for row in found {
        match row.period() {
            Some(period) => page.periods.push(period),
            None => {
                page.damaged += 1;
                tracing::warn!(
                    database = row.place.database,
                    key = %row.place.key.escape_ascii(),
                    limit = row.place.limit_name,
                    "a row of closed_periods cannot be read"
                );
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let row = || FoundClosed {
            place: ClosedPlace {
                database: 3,
                key: (*b"org").into(),
                limit_name: "requests:budget:day".to_owned(),
                start_us: 5,
            },
            subject: Some((*b"org").into()),
            end_us: 9,
            used: 7,
            maximum: 6,
        };
        let period = row().period().unwrap();
        assert_eq!((period.start.as_micros(), period.end.as_micros(), period.used), (5, 9, 7));
        assert_eq!((period.database, period.limit.maximum()), (3, 6));
        let changes: [fn(&mut FoundClosed); 8] = [
            |row| row.place.database = 16,
            |row| row.place.database = -1,
            |row| row.place.limit_name = "requests:rate:1m".to_owned(),
            |row| row.place.start_us = -1,
            |row| row.end_us = 4,
            |row| row.used = -1,
            |row| row.maximum = -1,
            |row| row.subject = None,
        ];
        let mut rows = vec![row()];
        for change in changes {
            let mut changed = row();
            change(&mut changed);
            rows.push(changed);
        }
        let page = closed_page_of(rows, 9);
        assert_eq!((page.periods, page.damaged, page.next), (vec![period], 8, Some(row().place)));
        assert_eq!(closed_page_of(vec![row()], 2).next, None);
    }

    #[test]
    fn what_ended_before_belongs_to_it_and_what_was_written_before() {
        let until = ClosedUntil { seq: 7, at: Timestamp::from_micros(100) };
        let has = |seq, end| until.has(seq, Timestamp::from_micros(end));
        assert!(has(7, 100) && has(7, 101) && has(8, 100));
        assert!(!has(8, 101));
    }
}
