//! What snapshots need of the truth in memory: rows by their batches, and a beginning from nothing.

use std::collections::BTreeMap;

use super::{Data, ScannedRow, after, page_within};
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use crate::persist::batch::ClosedPeriod;
use crate::persist::claim::empty_refusal;
use crate::persist::closed::{ClosedPage, ClosedPlace, ClosedUntil, FoundClosed, closed_page_of};
use crate::persist::rows::signed;
use crate::persist::store::{DataSetId, EpochRow, OwnerId, Page, Restore, Restoring, Tenure, Written};

impl Data {
    pub(super) fn begin_restore(&mut self, restore: &Restore) -> Restoring {
        let rows = u64::try_from(self.rows.len() + self.closed_periods.len()).expect("a count fits 64 bits");
        if let Some(refusal) = empty_refusal(&self.owner_row(), rows, restore) {
            return refusal;
        }
        let (applied, epoch) = (restore.applied, restore.restored_epoch);
        let restored =
            EpochRow { epoch, started_at: Timestamp::EPOCH, first_seq: 1, last_seq: Some(applied) };
        let own =
            EpochRow { epoch: restore.epoch, started_at: self.now, first_seq: applied + 1, last_seq: None };
        let epochs = vec![restored, own];
        *self = Self {
            now: self.now,
            owner: Some(restore.owner),
            holder: restore.holder.clone(),
            applied: restore.applied,
            lease_until: Some(after(self.now, restore.lease)),
            epochs,
            pruned: restore.applied,
            ..Self::default()
        };
        Restoring::Begun
    }

    pub(super) fn end_restore(&mut self, epoch: u64, owner: OwnerId, data_set: DataSetId) -> Tenure {
        let tenure = self.set_lease(epoch, owner, None);
        if tenure == Tenure::Kept {
            self.data_set = Some(data_set);
        }
        tenure
    }

    /// A page of the rows that certain batches wrote.
    pub(super) fn written_page(
        &self,
        written: Written,
        after: Option<&MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Page {
        let (behind, _) = self.rows_behind(after, u32::MAX);
        let mut told = behind.into_iter().filter_map(|((database, key), row)| {
            let lives = self.lives(*database, row, now);
            let is_told = written.behind < row.written.1 && row.written.1 <= written.up_to;
            let value = if lives { row.value.clone() } else { Ok(None) };
            (is_told && (lives || written.with_gone)).then(|| ScannedRow {
                database: (*database).into(),
                key: key.clone(),
                value,
            })
        });
        page_within(&mut told, rows, written.with_gone)
    }

    /// A page of the closed periods of a state. Of those with one place the last counts, as in a table.
    pub(super) fn closed_page(
        &self,
        until: ClosedUntil,
        after: Option<&ClosedPlace>,
        rows: u32,
    ) -> ClosedPage {
        let place = |period: &ClosedPeriod| ClosedPlace {
            database: period.database.into(),
            key: period.subject.clone(),
            limit_name: period.limit.name().to_string(),
            start_us: signed(period.start.as_micros()),
        };
        let table: BTreeMap<_, _> =
            self.closed_periods.iter().map(|(seq, period)| (place(period), (*seq, period))).collect();
        let behind = table.into_iter().filter(|(place, (seq, period))| {
            after.is_none_or(|after| place > after) && until.has(*seq, period.end)
        });
        let found = behind.take(usize::try_from(rows).expect("32 bits fit a usize"));
        let row = |(place, (_, period)): (ClosedPlace, (u64, &ClosedPeriod))| FoundClosed {
            place,
            subject: Some(period.subject.clone()),
            end_us: signed(period.end.as_micros()),
            used: signed(period.used),
            maximum: signed(period.limit.maximum()),
        };
        closed_page_of(found.map(row).collect(), rows)
    }
}
