//! Fills an empty truth from a snapshot.
//!
//! First the whole snapshot is read, so that a damaged one leaves the truth as it is. Then the truth is emptied and filled, under a lease
//! that keeps every server away, in an epoch above all that the data ever had; last it gets its data set, which makes it whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::catalog::Catalog;
use super::error::SnapshotError;
use super::format::{Entry, Manifest};
use super::load::{load, load_closed};
use crate::clock::Clock;
use crate::persist::{
    Applied, Batch, ClosedPeriod, OwnerId, Record, Restore, Restoring, Store, StoreError, StoredValue, Tenure,
};

/// Bytes of records from which a batch goes to the truth.
const BATCH_BYTES: usize = 8 << 20;

/// Records from which a batch goes to the truth.
const BATCH_RECORDS: usize = 50_000;

/// Batches that wait for the truth.
const WAITING_BATCHES: usize = 2;

/// How long the truth is held without a sign of life; each batch is one.
const LEASE: Duration = Duration::from_secs(120);

/// Tries of a batch when the truth does not answer, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What a restore is told.
pub struct RestoreOrder {
    /// The snapshot.
    pub manifest: Arc<Manifest>,
    /// Who restores.
    pub owner: OwnerId,
    /// The same for people.
    pub holder: String,
    /// Whether what is in the truth is given up.
    pub replace: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Keys that the truth has now.
    pub keys: u64,
    /// Keys whose rows it has refused; the table `rejected` tells why.
    pub rejected: u64,
    /// Closed periods that the truth has now.
    pub closed_periods: u64,
    /// The epoch that was written in.
    pub epoch: u64,
}

/// How far a restore is, told as often as it comes further.
pub type Progress = Arc<dyn Fn(Stage, u64) + Send + Sync>;

/// What a restore is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The snapshot is read.
    Verifying,
    /// The truth is filled.
    Filling,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Its entries.
    pub entries: u64,
    /// Its closed periods.
    pub closed_periods: u64,
}

/// Part of a snapshot on its way to the truth.
enum Portion {
    Records(Vec<Record>),
    Closed(Vec<ClosedPeriod>),
}

/// Reads every byte of a snapshot.
///
/// # Errors
/// The first object that is not what it should be.
pub async fn verify(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    progress: &Progress,
) -> Result<Verified, SnapshotError> {
    let of_entries = Arc::clone(progress);
    let entries =
        load(catalog, manifest, Arc::new(move |_: Entry<'_>| of_entries(Stage::Verifying, 1))).await?;
    let of_closed = Arc::clone(progress);
    let closed_periods =
        load_closed(catalog, manifest, Arc::new(move |_| of_closed(Stage::Verifying, 1))).await?;
    Ok(Verified { entries, closed_periods })
}

/// Fills a truth, whose schema is up to date, from a snapshot.
///
/// # Errors
/// Why the truth is as it was, or, once it was emptied, not whole: then no server starts on it, and the restore is to be run again with
/// `replace`.
pub async fn restore(
    catalog: &Catalog,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    order: RestoreOrder,
    progress: &Progress,
) -> Result<Restored, SnapshotError> {
    let RestoreOrder { manifest, owner, holder, replace } = order;
    verify(catalog, &manifest, progress).await?;
    // Also above the one of a truth that is replaced.
    let there = store.owner().await.map_err(SnapshotError::failed)?.epoch;
    let epoch = catalog.highest_epoch(manifest.data_set).await?.max(manifest.epoch).max(there) + 1;
    let begin = Restore {
        epoch,
        restored_epoch: manifest.epoch,
        applied: manifest.seq,
        owner,
        holder,
        lease: LEASE,
        replace,
    };
    refuse(store.begin_restore(&begin).await.map_err(SnapshotError::failed)?)?;
    let filler = Filler { store: Arc::clone(store), owner, epoch, progress: Arc::clone(progress) };
    match filler.fill_whole(catalog, clock, &manifest).await {
        Ok(restored) => Ok(restored),
        Err(error) => {
            // The next try need not wait for the lease. Where that cannot be, it waits.
            let _ = store.release(epoch, owner).await;
            Err(SnapshotError::failed(format_args!(
                "{error}; the truth is not whole, and no server starts on it: run the restore again with --replace"
            )))
        }
    }
}

fn refuse(begun: Restoring) -> Result<(), SnapshotError> {
    match begun {
        Restoring::Begun => Ok(()),
        Restoring::NotEmpty { data_set, rows } => {
            let data =
                data_set.map_or_else(|| "rows of no data set".to_owned(), |id| format!("the data set {id}"));
            Err(SnapshotError::failed(format_args!(
                "the truth holds {data} with {rows} rows; to give them up, restore with --replace"
            )))
        }
        Restoring::Held { holder, lease_left } => Err(SnapshotError::failed(format_args!(
            "the truth is owned by a server ({holder}), whose lease holds for {} more seconds; stop that one first",
            lease_left.as_secs() + 1
        ))),
    }
}

/// Reads the snapshot once more and puts its entries, then its closed periods, into batches.
async fn make_batches(
    catalog: &Catalog,
    clock: &Arc<dyn Clock>,
    manifest: &Arc<Manifest>,
    batches: mpsc::Sender<Portion>,
) -> Result<(), SnapshotError> {
    let open = Arc::new(Mutex::new((Vec::new(), 0_usize)));
    let (now, ephemeral) = (clock.now(), manifest.ephemeral);
    let put = {
        let (open, batches) = (Arc::clone(&open), batches.clone());
        move |Entry { database, key, content, expiry }: Entry<'_>| {
            // What no truth had is not put into one: a start takes it from the snapshot.
            if expiry.has_passed(now) || ephemeral.contains(database) {
                return;
            }
            let bytes = size_of::<Record>() + key.len() + content.heap_bytes();
            let value = Some(StoredValue { content, expiry });
            let mut held = open.lock();
            held.0.push(Record { database, key: key.into(), value });
            held.1 += bytes;
            if held.1 >= BATCH_BYTES || held.0.len() >= BATCH_RECORDS {
                let (records, _) = std::mem::take(&mut *held);
                drop(held);
                // Whoever filled the truth tells why nobody takes it any more.
                let _ = batches.blocking_send(Portion::Records(records));
            }
        }
    };
    load(catalog, manifest, Arc::new(put)).await?;
    let (records, _) = std::mem::take(&mut *open.lock());
    let _ = batches.send(Portion::Records(records)).await;
    make_closed_batches(catalog, manifest, batches).await
}

async fn make_closed_batches(
    catalog: &Catalog,
    manifest: &Arc<Manifest>,
    batches: mpsc::Sender<Portion>,
) -> Result<(), SnapshotError> {
    let open = Arc::new(Mutex::new((Vec::new(), 0_usize)));
    let put = {
        let (open, batches) = (Arc::clone(&open), batches.clone());
        move |period: ClosedPeriod| {
            let mut held = open.lock();
            held.1 += size_of::<ClosedPeriod>() + period.subject.len();
            held.0.push(period);
            if held.1 >= BATCH_BYTES || held.0.len() >= BATCH_RECORDS {
                let (periods, _) = std::mem::take(&mut *held);
                drop(held);
                // As above.
                let _ = batches.blocking_send(Portion::Closed(periods));
            }
        }
    };
    load_closed(catalog, manifest, Arc::new(put)).await?;
    let (periods, _) = std::mem::take(&mut *open.lock());
    let _ = batches.send(Portion::Closed(periods)).await;
    Ok(())
}

/// In their order. A key that left memory while the snapshot was written is in it twice, both times the same.
fn once_each(records: Vec<Record>) -> Vec<Record> {
    let records: BTreeMap<_, _> =
        records.into_iter().map(|record| ((record.database, record.key.clone()), record)).collect();
    records.into_values().collect()
}

/// Writes batches into a truth.
struct Filler {
    store: Arc<dyn Store>,
    owner: OwnerId,
    epoch: u64,
    progress: Progress,
}

impl Filler {
    /// Fills a truth whose restore has begun, and ends that.
    async fn fill_whole(
        &self,
        catalog: &Catalog,
        clock: &Arc<dyn Clock>,
        manifest: &Arc<Manifest>,
    ) -> Result<Restored, SnapshotError> {
        let (batches, waiting) = mpsc::channel(WAITING_BATCHES);
        let made = make_batches(catalog, clock, manifest, batches);
        let (filled, made) = tokio::join!(self.fill(waiting, manifest), made);
        let mut restored = filled?;
        made?;
        // A snapshot may have a key twice: from memory, and from the truth.
        if let Ok(keys) = self.store.count(clock.now()).await {
            restored.keys = keys;
        }
        if restored.rejected > 0 {
            // The snapshot has rows that this truth has not, so no start may load it.
            self.store.note_pruned(manifest.seq + 1).await.map_err(SnapshotError::failed)?;
        }
        match self.store.end_restore(self.epoch, self.owner, manifest.data_set).await {
            Ok(Tenure::Kept) => Ok(restored),
            Ok(Tenure::Fenced) => Err(SnapshotError::failed("somebody else took the truth meanwhile")),
            Err(error) => Err(SnapshotError::failed(error)),
        }
    }

    async fn fill(
        &self,
        mut waiting: mpsc::Receiver<Portion>,
        manifest: &Manifest,
    ) -> Result<Restored, SnapshotError> {
        let mut restored = Restored { epoch: self.epoch, ..Restored::default() };
        let mut seq = manifest.seq;
        while let Some(portion) = waiting.recv().await {
            let (records, closed_periods) = match portion {
                Portion::Records(records) => (once_each(records), Vec::new()),
                Portion::Closed(periods) => (Vec::new(), periods),
            };
            if records.is_empty() && closed_periods.is_empty() {
                continue;
            }
            seq += 1;
            let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
            let (keys, periods) = (count(records.len()), count(closed_periods.len()));
            let (epoch, cut_at) = (self.epoch, manifest.cut_at);
            let batch = Batch {
                epoch,
                first_seq: seq,
                seq,
                cut_at,
                records: records.into(),
                closed_periods,
                ..Batch::default()
            };
            let rejected = self.apply(&batch).await?;
            restored.rejected += rejected;
            restored.keys += keys - rejected.min(keys);
            restored.closed_periods += periods;
            (self.progress)(Stage::Filling, keys + periods);
            if let Ok(Tenure::Fenced) = self.store.renew(self.epoch, self.owner, LEASE).await {
                return Err(SnapshotError::failed("somebody else took the truth meanwhile"));
            }
        }
        Ok(restored)
    }

    /// Applies a batch, again where the truth does not answer; answers how many rows it refused.
    async fn apply(&self, batch: &Batch) -> Result<u64, SnapshotError> {
        let mut tries = 0;
        loop {
            match self.store.apply(self.owner, batch).await {
                Ok(Applied::Whole { rejected } | Applied::Before { rejected }) => {
                    return Ok(u64::try_from(rejected.len()).unwrap_or(u64::MAX));
                }
                Ok(Applied::Fenced | Applied::Gap { .. }) => {
                    return Err(SnapshotError::failed("somebody else took the truth meanwhile"));
                }
                Err(StoreError::Unavailable(_) | StoreError::Unclear(_)) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(SnapshotError::failed(error)),
            }
        }
    }
}
