//! The promise of a truth, in words, which one contract suite checks on every store.
//!
//! - **One writer.** The owner row says who writes: an epoch and an owner. Whoever is not named there cannot change a row, however
//!   late its transaction arrives.
//! - **A chain.** Batches are applied whole, each once, in the order of their numbers. A batch that was applied is told so; one
//!   behind a gap is refused, since the truth has lost what came before. A merged batch is applied also where some of its first
//!   parts were.
//! - **Absolute state.** A record is all of a value, marked with the epoch and number of its batch; it never replaces a later one.
//! - **Nothing comes back.** A deleted key stays as a row that says so, a flushed database is marked, until [`Store::prune`].
//! - **One bad row blocks nobody.** A record the database refuses is set aside with its reason, the others are applied. A row that
//!   cannot be read is told beside the others with its reason, and stays as it is.
//!
//! A future that is dropped may or may not have done its work, as after [`StoreError::Unclear`]: ask again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::batch::Batch;
use super::closed::{ClosedPage, ClosedPlace, ClosedUntil};
use super::fetched::Fetched;
use super::record::Record;
use super::told_epochs::ToldEpochs;
use crate::clock::Timestamp;
use crate::engine::{DATABASES, MissingKey};

/// What a store does, on any thread.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The most epochs that [`Store::epochs`] tells: one a start, so years of them.
pub const MAX_TOLD_EPOCHS: u32 = 10_000;

/// The bytes of keys and values behind which a page takes no more rows: several lie in memory at a time, and a value may have hundreds of MiB.
pub const MAX_PAGE_BYTES: u64 = 32 * 1024 * 1024;

/// A truth. See the module for what every one of them promises.
pub trait Store: Send + Sync {
    /// Brings the schema up to this program's, under a lock; with `dry_run` only tells what would be done. Answers the names of the
    /// migrations that were (or would be) applied.
    ///
    /// [`StoreError::Denied`] when the schema is newer than the program's, or an applied migration is not the one that is
    /// built in.
    fn migrate(&self, dry_run: bool) -> Answer<'_, Vec<String>>;

    /// Which data it holds, also before [`migrate`](Self::migrate): `None` where it has no schema yet, or none was taken.
    fn data_set(&self) -> Answer<'_, Option<DataSetId>>;

    /// Who owns the truth.
    fn owner(&self) -> Answer<'_, OwnerRow>;

    /// Takes the next epoch, if the claim is allowed to; nothing changes if not.
    ///
    /// The owner that is named already is always allowed. Another is while nobody holds a lease, or once the lease has run out and
    /// the claim has the same data directory or says `take_over`.
    fn begin_epoch<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Claimed>;

    /// Lets the lease end `lease` from now, by the truth's clock; waits for a batch that is being applied.
    fn renew(&self, epoch: u64, owner: OwnerId, lease: Duration) -> Answer<'_, Tenure>;

    /// Ends the lease: at a clean stop, with everything applied. Then any claim on the data set is allowed.
    fn release(&self, epoch: u64, owner: OwnerId) -> Answer<'_, Tenure>;

    /// Applies a sorted batch in one transaction, which begins with the owner row. Asked again, it tells again what was refused.
    ///
    /// [`StoreError::Damaged`] when a row of the truth is newer than the batch, although the chain says that cannot be; then nothing was
    /// applied.
    fn apply<'a>(&'a self, owner: OwnerId, batch: &'a Batch) -> Answer<'a, Applied>;

    /// The values under the keys at `now`, and how far the truth was before they were read; without those of more than
    /// [`MAX_FETCHED_BYTES`](super::fetched::MAX_FETCHED_BYTES), and of smaller ones where the keys are many.
    fn fetch<'a>(&'a self, keys: &'a [MissingKey], now: Timestamp) -> Answer<'a, Fetched>;

    /// The same of keys whose values were left out there, with all of them: about as many `bytes`, which set how long it may take.
    fn fetch_large<'a>(&'a self, keys: &'a [MissingKey], bytes: u64, now: Timestamp) -> Answer<'a, Fetched>;

    /// The next page of all that lives at `now`: looks at `rows` rows behind `after`, from the beginning without it; at fewer behind
    /// [`MAX_PAGE_BYTES`].
    ///
    /// A key that lives throughout is answered exactly once, whatever else changes meanwhile: with its value, or as damaged.
    fn scan<'a>(&'a self, after: Option<&'a MissingKey>, rows: u32, now: Timestamp) -> Answer<'a, Page>;

    /// How many keys live at `now`.
    fn count(&self, now: Timestamp) -> Answer<'_, u64>;

    /// Deletes, of the next `rows` rows behind `after`, those that no longer live at `now` and were written by batches up to
    /// number `applied`.
    fn prune<'a>(
        &'a self,
        after: Option<&'a MissingKey>,
        rows: u32,
        applied: u64,
        now: Timestamp,
    ) -> Answer<'a, Pruned>;

    /// The newest [`MAX_TOLD_EPOCHS`] epochs, the newest first, and what was refused in those that are over. A claim that begins an epoch
    /// notes, of the one before, the batches with rows that were refused and not taken since.
    fn epochs(&self) -> Answer<'_, ToldEpochs>;

    /// As [`scan`](Self::scan), of the keys that certain batches wrote last.
    fn scan_written<'a>(
        &'a self,
        written: Written,
        after: Option<&'a MissingKey>,
        rows: u32,
        now: Timestamp,
    ) -> Answer<'a, Page>;

    /// The next page of the closed periods that belong to a state: at most `rows` rows behind `after`, from the beginning without it. One that
    /// belongs to it throughout is answered exactly once.
    fn scan_closed<'a>(
        &'a self,
        until: ClosedUntil,
        after: Option<&'a ClosedPlace>,
        rows: u32,
    ) -> Answer<'a, ClosedPage>;

    /// The databases that were flushed, with the number of the last batch that did so; a mark that was pruned is not told.
    fn flushed(&self) -> Answer<'_, Vec<(u8, u64)>>;

    /// Notes, before they are pruned, that keys whose end was written up to batch `up_to` may be missing without a row from now on.
    fn note_pruned(&self, up_to: u64) -> Answer<'_, ()>;

    /// The highest number that was [noted](Self::note_pruned); 0: none was.
    fn pruned(&self) -> Answer<'_, u64>;

    /// Empties the truth and makes it one that a restore fills by [`apply`](Self::apply), as its owner. Until the
    /// [end](Self::end_restore) it has no data set, and the lease of the restore keeps every start away.
    fn begin_restore<'a>(&'a self, restore: &'a Restore) -> Answer<'a, Restoring>;

    /// Gives the truth its data set and the lease up: from now on a server starts on it.
    fn end_restore(&self, epoch: u64, owner: OwnerId, data_set: DataSetId) -> Answer<'_, Tenure>;
}

/// Keys by the batch that wrote their row last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Only those behind this number.
    pub behind: u64,
    /// Only those up to this number.
    pub up_to: u64,
    /// Whether those that no longer live are told too, without a value.
    pub with_gone: bool,
}

/// How a restore begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// The epoch that it writes in: above every one that the data ever had.
    pub epoch: u64,
    /// The epoch of the data that is restored.
    pub restored_epoch: u64,
    /// The last batch that is part of the data.
    pub applied: u64,
    /// Who restores.
    pub owner: OwnerId,
    /// The same for people.
    pub holder: String,
    /// How long the truth is held without a sign of life.
    pub lease: Duration,
    /// Whether what is in the truth is given up.
    pub replace: bool,
}

/// What became of the beginning of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoring {
    /// The truth is empty and waits for batches.
    Begun,
    /// It holds data, which nobody said to replace.
    NotEmpty {
        /// Which data; `None`: rows that belong to none.
        data_set: Option<DataSetId>,
        /// How many rows.
        rows: u64,
    },
    /// Somebody owns it.
    Held {
        /// Who.
        holder: String,
        /// For how much longer.
        lease_left: Duration,
    },
}

/// 128 bits that nobody else has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

/// Which data a truth, a data directory or a snapshot belongs to.
pub type DataSetId = Id;

/// Who owns a truth: one process, or all that used one data directory one after the other.
pub type OwnerId = Id;

impl Id {
    /// Reads 32 hexadecimal digits, with or without dashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        let mut digit = || char::from(digits.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for byte in &mut bytes {
            *byte = (digit()? << 4) | digit()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
            write!(formatter, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The owner row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// The data in this truth; `None`: it was never used.
    pub data_set: Option<DataSetId>,
    /// The latest epoch; 0: there was none.
    pub epoch: u64,
    /// Who took it.
    pub owner: Option<OwnerId>,
    /// The owner for people: host, process, data directory.
    pub holder: String,
    /// The number of the last batch that was applied; 0: none was.
    pub applied: u64,
    /// Whether the owner still holds it.
    pub lease: Lease,
}

/// How long the truth is held, by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It was never taken, or was released.
    Free,
    /// For so much longer.
    Held(Duration),
    /// The lease ran out without a release: the owner may come back.
    Expired,
}

/// What a start asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The data set of the data directory; `None` for a new directory, which takes the truth's, or gives a new truth one.
    pub data_set: Option<DataSetId>,
    /// Who claims.
    pub owner: OwnerId,
    /// The same for people: host, process, data directory.
    pub holder: String,
    /// How long the lease holds.
    pub lease: Duration,
    /// Whether to take an expired lease of another data directory.
    pub take_over: bool,
    /// Whether the owner that is named had this data directory.
    pub same_directory: bool,
    /// The epoch that it is behind; `None`: any. A claim whose answer was lost may be committed yet, and is not to be followed by another.
    pub behind: Option<u64>,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The truth is the claimer's.
    Epoch(Epoch),
    /// Another holds a lease.
    Held {
        /// Who.
        holder: String,
        /// For how much longer.
        lease_left: Duration,
    },
    /// The lease of another data directory has run out; only `take_over` takes it.
    Expired {
        /// Whose it was.
        holder: String,
    },
    /// The truth is at another epoch than the one that was to be followed.
    Moved,
    /// A restore has begun and not ended, so half of the data is missing; nothing but the restore takes it.
    HalfRestored {
        /// Which restore.
        holder: String,
    },
    /// The truth holds other data than the data directory.
    WrongDataSet {
        /// Which; `None`: none at all, so it is new or was emptied.
        found: Option<DataSetId>,
    },
}

/// What a successful claim gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The data in the truth.
    pub data_set: DataSetId,
    /// The epoch, larger than all before.
    pub epoch: u64,
    /// The number of the last batch that was applied; the next one is the epoch's first.
    pub applied: u64,
}

/// Whether an owner still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It is.
    Kept,
    /// Another owns the truth.
    Fenced,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is committed.
    Whole {
        /// The records the database refused; their keys keep what the truth had of them.
        rejected: Vec<RejectedRecord>,
    },
    /// It was committed before, whole or in parts: an answer was lost.
    Before {
        /// The records the database refused then and has not taken since, in no order. Among them may be such that were refused behind
        /// this batch: a merged batch refuses under its last number what any of its parts brought.
        rejected: Vec<RejectedRecord>,
    },
    /// Another owns the truth, and nothing was changed.
    Fenced,
    /// The truth lacks the batch before this one, and nothing was changed.
    Gap {
        /// The last batch it has.
        applied: u64,
    },
}

/// A row the database refused: of a record, or of a closed period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its database.
    pub database: u8,
    /// Its key.
    pub key: Box<[u8]>,
    /// Which closed period of the key; `None`: its record.
    pub period: Option<String>,
    /// Why.
    pub reason: String,
}

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its database, which may be none.
    pub database: i64,
    /// Its key.
    pub key: Box<[u8]>,
    /// Why.
    pub reason: String,
}

impl DamagedRow {
    /// The key that it is the row of; `None`: nobody can ask for it.
    #[must_use]
    pub fn place(&self) -> Option<MissingKey> {
        let database = u8::try_from(self.database).ok().filter(|&number| usize::from(number) < DATABASES)?;
        Some(MissingKey { database, key: self.key.clone() })
    }
}

/// A part of a scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What lives, in the store's own order; every record has a value.
    pub records: Vec<Record>,
    /// What lives and cannot be read.
    pub damaged: Vec<DamagedRow>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<MissingKey>,
}

/// A part of pruning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that were deleted.
    pub deleted: u64,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<MissingKey>,
}

/// One epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRow {
    /// Its number.
    pub epoch: u64,
    /// When it began, by the truth's clock.
    pub started_at: Timestamp,
    /// The number of its first batch.
    pub first_seq: u64,
    /// The number of its last batch that was applied; `None`: it is the latest epoch. One below `first_seq`: it had none.
    pub last_seq: Option<u64>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The truth cannot be reached, is busy or has no room; nothing was changed. Trying again may help.
    Unavailable(String),
    /// It cannot be told whether the change was committed. Asking again is harmless and tells.
    Unclear(String),
    /// The truth refuses: credentials, rights, a schema. Trying again helps only when somebody has changed that.
    Denied(String),
    /// What is stored contradicts itself or cannot be read.
    Damaged(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) => write!(formatter, "the truth is unavailable: {reason}"),
            Self::Unclear(reason) => {
                write!(formatter, "it is unclear whether the truth has committed: {reason}")
            }
            Self::Denied(reason) => write!(formatter, "the truth refuses: {reason}"),
            Self::Damaged(reason) => write!(formatter, "the truth is damaged: {reason}"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        let id = Id(std::array::from_fn(|at| u8::try_from(at * 17).unwrap()));
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(Id::parse("00112233445566778899AABBCCDDEEFF"), Some(id));
        for text in
            ["", "00", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeefff", "g"]
        {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
