//! A truth in memory whose faults are scripted, for tests of what is built on a store.

mod fetch;
mod page;
mod restore;

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::batch::{Batch, ClosedPeriod};
use super::chain::{check, overtaken, refusal};
use super::claim::{judge, kept_holder};
use super::closed::{ClosedPage, ClosedPlace, ClosedUntil};
use super::fetched::{Fetched, FetchedValue, most_bytes};
use super::record::Record;
use super::rows::ScannedRow;
use super::store::{
    Answer, Applied, Claim, Claimed, DataSetId, Epoch, EpochRow, Id, Lease, MAX_TOLD_EPOCHS, OwnerId,
    OwnerRow, Page, Pruned, RejectedRecord, Restore, Restoring, Store, StoreError, Tenure, Written,
};
use super::told_epochs::{RefusedBatches, ToldEpochs};
use crate::clock::Timestamp;
use crate::engine::MissingKey;
use page::page_within;

/// How many commits [`FakeStore::lose_commits`] can take back.
const KEPT_COMMITS: usize = 64;

/// What happens to one of the next calls that write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does its work.
    None,
    /// The truth cannot be reached, and nothing is changed.
    BeforeCommit,
    /// The work is done, and the answer is lost.
    AfterCommit,
    /// No answer ever, and nothing is changed.
    Hang,
}

/// The truth in memory. Its clock stands until a test moves it.
#[derive(Default)]
pub struct FakeStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    data: Data,
    /// The data before each of the last commits, the newest last.
    before: VecDeque<Data>,
    faults: VecDeque<Fault>,
    refused_keys: Vec<Box<[u8]>>,
    /// Whom fetches of large values wait for.
    large_fetches: Option<Arc<Semaphore>>,
    /// Gone behind the next fetch.
    fleeting_keys: Vec<Box<[u8]>>,
}

#[derive(Clone, Default)]
struct Data {
    now: Timestamp,
    rows: BTreeMap<Place, Row>,
    flushed: BTreeMap<u8, (u64, u64)>,
    /// Each with the number of its batch.
    closed_periods: Vec<(u64, ClosedPeriod)>,
    /// As the table: of each key the last refusal.
    rejected: BTreeMap<Place, Refused>,
    data_set: Option<Id>,
    owner: Option<OwnerId>,
    holder: String,
    applied: u64,
    lease_until: Option<Timestamp>,
    pruned: u64,
    epochs: Vec<EpochRow>,
    refused: Vec<RefusedBatches>,
}

/// Database and key.
type Place = (u8, Box<[u8]>);

/// A row with its place.
type Found<'a> = (&'a Place, &'a Row);

#[derive(Clone)]
struct Row {
    value: FetchedValue,
    written: (u64, u64),
}

#[derive(Clone)]
struct Refused {
    reason: String,
    batches: Vec<(u64, u64)>,
    written: (u64, u64),
}

impl FakeStore {
    /// An empty truth.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What happens to the next calls that write, one after the other.
    pub fn script(&self, faults: &[Fault]) {
        self.inner.lock().faults.extend(faults);
    }

    /// From now on rows with this key are refused.
    pub fn refuse_key(&self, key: &[u8]) {
        self.inner.lock().refused_keys.push(key.into());
    }

    /// Makes the row of this key, in database 0, one that cannot be read.
    pub fn damage_key(&self, key: &[u8]) {
        if let Some(row) = self.inner.lock().data.rows.get_mut(&(0, key.into())) {
            row.value = Err("the row is scripted to be damaged".to_owned());
        }
    }

    /// Behind the next fetch the row of this key, in database 0, is gone.
    pub fn forget_after_fetch(&self, key: &[u8]) {
        self.inner.lock().fleeting_keys.push(key.into());
    }

    /// From now on each fetch of large values takes one of these permits.
    pub fn hold_large_fetches(&self, permits: Arc<Semaphore>) {
        self.inner.lock().large_fetches = Some(permits);
    }

    /// Takes the last `count` commits back, as a replica without them does that is promoted. No more than 64 are kept.
    pub fn lose_commits(&self, count: usize) {
        let mut inner = self.inner.lock();
        for _ in 0..count {
            if let Some(data) = inner.before.pop_back() {
                let now = inner.data.now;
                inner.data = Data { now, ..data };
            }
        }
    }

    /// Moves the truth's clock.
    pub fn advance(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let data = &mut self.inner.lock().data;
        data.now = data.now.plus_micros(micros);
    }

    /// Every closed period, in the order of their records.
    #[must_use]
    pub fn closed_periods(&self) -> Vec<ClosedPeriod> {
        self.inner.lock().data.closed_periods.iter().map(|(_, period)| period.clone()).collect()
    }

    /// Runs `write` on the data, with the next fault.
    async fn write<T>(
        &self,
        write: impl FnOnce(&mut Data, &[Box<[u8]>]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = self.inner.lock().faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Hang => return pending().await,
            Fault::BeforeCommit => {
                return Err(StoreError::Unavailable("scripted, before the commit".to_owned()));
            }
            Fault::None | Fault::AfterCommit => {}
        }
        let mut inner = self.inner.lock();
        let mut data = inner.data.clone();
        let answer = write(&mut data, &inner.refused_keys)?;
        let before = std::mem::replace(&mut inner.data, data);
        inner.before.push_back(before);
        if inner.before.len() > KEPT_COMMITS {
            inner.before.pop_front();
        }
        if fault == Fault::AfterCommit {
            return Err(StoreError::Unclear("scripted, after the commit".to_owned()));
        }
        Ok(answer)
    }

    fn read<T>(&self, read: impl FnOnce(&Data) -> T) -> T {
        read(&self.inner.lock().data)
    }
}

impl Data {
    fn owner_row(&self) -> OwnerRow {
        let lease = match self.lease_until {
            None => Lease::Free,
            Some(until) if until > self.now => {
                Lease::Held(Duration::from_micros(until.micros_since(self.now)))
            }
            Some(_) => Lease::Expired,
        };
        OwnerRow {
            data_set: self.data_set,
            epoch: self.epoch(),
            owner: self.owner,
            holder: self.holder.clone(),
            applied: self.applied,
            lease,
        }
    }

    fn epoch(&self) -> u64 {
        self.epochs.last().map_or(0, |row| row.epoch)
    }

    fn lives(&self, database: u8, row: &Row, now: Timestamp) -> bool {
        let flushed = self.flushed.get(&database).is_some_and(|flushed| row.written < *flushed);
        let lives = match &row.value {
            Ok(value) => value.as_ref().is_some_and(|value| !value.expiry.has_passed(now)),
            Err(_) => true,
        };
        !flushed && lives
    }

    fn begin_epoch(&mut self, claim: &Claim) -> Claimed {
        let data_set = match judge(&self.owner_row(), claim) {
            Ok(data_set) => data_set.unwrap_or(Id([7; 16])),
            Err(refusal) => return refusal,
        };
        self.keep_refused();
        if let Some(row) = self.epochs.last_mut() {
            row.last_seq = Some(self.applied);
        }
        let epoch = self.epoch() + 1;
        let first_seq = self.applied + 1;
        self.epochs.push(EpochRow { epoch, started_at: self.now, first_seq, last_seq: None });
        self.data_set = Some(data_set);
        self.owner = Some(claim.owner);
        kept_holder(&claim.holder).clone_into(&mut self.holder);
        self.lease_until = Some(after(self.now, claim.lease));
        Claimed::Epoch(Epoch { data_set, epoch, applied: self.applied })
    }

    fn set_lease(&mut self, epoch: u64, owner: OwnerId, lease: Option<Duration>) -> Tenure {
        if (self.epoch(), self.owner) != (epoch, Some(owner)) {
            return Tenure::Fenced;
        }
        self.lease_until = lease.map(|lease| after(self.now, lease));
        Tenure::Kept
    }

    fn apply(
        &mut self,
        owner: OwnerId,
        batch: &Batch,
        refused_keys: &[Box<[u8]>],
    ) -> Result<Applied, StoreError> {
        check(batch)?;
        let row = self.owner_row();
        match refusal(&row, owner, batch) {
            None => {}
            Some(Applied::Before { .. }) => {
                return Ok(Applied::Before { rejected: self.rejected_since(batch) });
            }
            Some(refusal) => return Ok(refusal),
        }
        self.applied = batch.seq;
        let written = (batch.epoch, batch.seq);
        self.closed_periods.extend(batch.closed_periods.iter().map(|period| (batch.seq, period.clone())));
        self.flushed.extend(batch.flushed_databases.iter().map(|&database| (database, written)));
        let mut rejected = Vec::new();
        for record in &batch.records {
            let Record { database, key, value } = &record.to_record();
            let place = (*database, key.clone());
            if refused_keys.contains(key) {
                let reason = "the key is scripted to be refused".to_owned();
                let before = self.rejected.get(&place).filter(|before| {
                    before.written.0 == batch.epoch && !self.is_over(&place, before.written)
                });
                let mut batches = before.map_or_else(Vec::new, |before| before.batches.clone());
                batches.push((batch.first_seq, batch.seq));
                self.rejected.insert(place, Refused { reason: reason.clone(), batches, written });
                rejected.push(RejectedRecord { database: *database, key: key.clone(), period: None, reason });
            } else if self.rows.get(&place).is_some_and(|row| row.written >= written) {
                return Err(overtaken(batch, 1));
            } else {
                self.rows.insert(place, Row { value: Ok(value.clone()), written });
            }
        }
        Ok(Applied::Whole { rejected })
    }

    /// Whether what was refused of a key then was taken since, or has ended with its database.
    fn is_over(&self, place: &Place, refused: (u64, u64)) -> bool {
        self.rows.get(place).is_some_and(|row| row.written > refused)
            || self.flushed.get(&place.0).is_some_and(|flushed| *flushed > refused)
    }

    /// Notes which batches of the epoch that ends lack rows for good.
    fn keep_refused(&mut self) {
        let epoch = self.epoch();
        let lacking = self
            .rejected
            .iter()
            .filter(|(place, refused)| refused.written.0 == epoch && !self.is_over(place, refused.written));
        let mut batches: Vec<_> = lacking
            .flat_map(|(_, refused)| &refused.batches)
            .map(|&(first_seq, last_seq)| RefusedBatches { epoch, first_seq, last_seq })
            .collect();
        self.refused.append(&mut batches);
    }

    /// What was refused from the batch's first number on, and not taken since.
    fn rejected_since(&self, batch: &Batch) -> Vec<RejectedRecord> {
        let is_refused = |(place, refused): &(&Place, &Refused)| {
            let (epoch, seq) = refused.written;
            let is_taken = self.rows.get(*place).is_some_and(|row| row.written > refused.written);
            epoch == batch.epoch && seq >= batch.first_seq && !is_taken
        };
        let record = |((database, key), refused): (&Place, &Refused)| RejectedRecord {
            database: *database,
            key: key.clone(),
            period: None,
            reason: refused.reason.clone(),
        };
        self.rejected.iter().filter(is_refused).map(record).collect()
    }

    /// The next rows, and whether these were all.
    fn rows_behind(&self, after: Option<&MissingKey>, rows: u32) -> (Vec<Found<'_>>, bool) {
        let start = after.map_or(Unbounded, |after| Excluded((after.database, after.key.clone())));
        let rows = usize::try_from(rows).expect("32 bits fit a usize");
        let found: Vec<_> = self.rows.range((start, Unbounded)).take(rows).collect();
        let all = found.len() < rows;
        (found, all)
    }
}

fn after(now: Timestamp, duration: Duration) -> Timestamp {
    now.plus_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn next_of(rows: &[Found<'_>], all: bool) -> Option<MissingKey> {
    let ((database, key), _) = rows.last()?;
    (!all).then(|| MissingKey { database: *database, key: key.clone() })
}

impl Store for FakeStore {
    fn migrate(&self, _dry_run: bool) -> Answer<'_, Vec<String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn data_set(&self) -> Answer<'_, Option<DataSetId>> {
        Box::pin(async { Ok(self.read(|data| data.data_set)) })
    }

    fn owner(&self) -> Answer<'_, OwnerRow> {
        Box::pin(async { Ok(self.read(Data::owner_row)) })
    }

    fn begin_epoch<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Claimed> {
        Box::pin(self.write(|data, _| Ok(data.begin_epoch(claim))))
    }

    fn renew(&self, epoch: u64, owner: OwnerId, lease: Duration) -> Answer<'_, Tenure> {
        Box::pin(self.write(move |data, _| Ok(data.set_lease(epoch, owner, Some(lease)))))
    }

    fn release(&self, epoch: u64, owner: OwnerId) -> Answer<'_, Tenure> {
        Box::pin(self.write(move |data, _| Ok(data.set_lease(epoch, owner, None))))
    }

    fn apply<'a>(&'a self, owner: OwnerId, batch: &'a Batch) -> Answer<'a, Applied> {
        Box::pin(self.write(move |data, refused_keys| data.apply(owner, batch, refused_keys)))
    }

    fn fetch<'a>(&'a self, keys: &'a [MissingKey], now: Timestamp) -> Answer<'a, Fetched> {
        Box::pin(async move {
            let fetched = self.read(|data| data.fetch(keys, now, most_bytes(keys.len())));
            let inner = &mut *self.inner.lock();
            for key in inner.fleeting_keys.drain(..) {
                inner.data.rows.remove(&(0, key));
            }
            Ok(fetched)
        })
    }

    fn fetch_large<'a>(&'a self, keys: &'a [MissingKey], _bytes: u64, now: Timestamp) -> Answer<'a, Fetched> {
        Box::pin(async move {
            let permits = self.inner.lock().large_fetches.clone();
            if let Some(permits) = permits {
                permits.acquire().await.expect("it stays open").forget();
            }
            Ok(self.read(|data| data.fetch(keys, now, usize::MAX)))
        })
    }

    fn scan<'a>(&'a self, after: Option<&'a MissingKey>, rows: u32, now: Timestamp) -> Answer<'a, Page> {
        let page = move |data: &Data| {
            let (found, _) = data.rows_behind(after, u32::MAX);
            let mut scanned = found.iter().map(|((database, key), row)| ScannedRow {
                database: i64::from(*database),
                key: key.clone(),
                value: if data.lives(*database, row, now) { row.value.clone() } else { Ok(None) },
            });
            page_within(&mut scanned, rows, false)
        };
        Box::pin(async move { Ok(self.read(page)) })
    }

    fn count(&self, now: Timestamp) -> Answer<'_, u64> {
        let count = move |data: &Data| {
            data.rows.iter().filter(|((database, _), row)| data.lives(*database, row, now)).count()
        };
        Box::pin(async move { Ok(u64::try_from(self.read(count)).expect("a count fits 64 bits")) })
    }

    fn prune<'a>(
        &'a self,
        after: Option<&'a MissingKey>,
        rows: u32,
        applied: u64,
        now: Timestamp,
    ) -> Answer<'a, Pruned> {
        let prune = move |data: &mut Data, _: &[Box<[u8]>]| {
            let (found, all) = data.rows_behind(after, rows);
            let next = next_of(&found, all);
            let is_dead = |((database, _), row): &&Found<'_>| {
                row.written.1 <= applied && !data.lives(*database, row, now)
            };
            let dead: Vec<_> = found.iter().filter(is_dead).map(|(place, _)| (*place).clone()).collect();
            for place in &dead {
                data.rows.remove(place);
            }
            Ok(Pruned { deleted: u64::try_from(dead.len()).expect("a count fits 64 bits"), next })
        };
        Box::pin(self.write(prune))
    }

    fn epochs(&self) -> Answer<'_, ToldEpochs> {
        let most = usize::try_from(MAX_TOLD_EPOCHS).expect("32 bits fit a usize");
        let told = move |data: &Data| {
            let mut refused = data.refused.clone();
            refused.sort_unstable_by_key(|found| {
                std::cmp::Reverse((found.epoch, found.last_seq, found.first_seq))
            });
            refused.dedup();
            ToldEpochs::of(data.epochs.iter().rev().take(most).copied().collect(), refused)
        };
        Box::pin(async move { Ok(self.read(told)) })
    }

    fn scan_written<'a>(
        &'a self,
        written: Written,
        after: Option<&'a MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Answer<'a, Page> {
        Box::pin(async move { Ok(self.read(|data| data.written_page(written, after, rows, now))) })
    }

    fn scan_closed<'a>(
        &'a self,
        until: ClosedUntil,
        after: Option<&'a ClosedPlace>,
        rows: u32,
    ) -> Answer<'a, ClosedPage> {
        Box::pin(async move { Ok(self.read(|data| data.closed_page(until, after, rows))) })
    }

    fn flushed(&self) -> Answer<'_, Vec<(u8, u64)>> {
        let marks = |data: &Data| data.flushed.iter().map(|(&database, &(_, seq))| (database, seq)).collect();
        Box::pin(async move { Ok(self.read(marks)) })
    }

    fn note_pruned(&self, up_to: u64) -> Answer<'_, ()> {
        Box::pin(self.write(move |data, _| {
            data.pruned = data.pruned.max(up_to);
            Ok(())
        }))
    }

    fn pruned(&self) -> Answer<'_, u64> {
        Box::pin(async move { Ok(self.read(|data| data.pruned)) })
    }

    fn begin_restore<'a>(&'a self, restore: &'a Restore) -> Answer<'a, Restoring> {
        Box::pin(self.write(|data, _| Ok(data.begin_restore(restore))))
    }

    fn end_restore(&self, epoch: u64, owner: OwnerId, data_set: DataSetId) -> Answer<'_, Tenure> {
        Box::pin(self.write(move |data, _| Ok(data.end_restore(epoch, owner, data_set))))
    }
}

#[cfg(test)]
mod tests;
