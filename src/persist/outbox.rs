//! The outbox: every batch is on this machine's disk before anybody relies on it, and stays until the truth has it.
//!
//! An outbox is a directory of append-only segments, each of frames with one batch each, for one data set, epoch and owner. What it
//! promises:
//!
//! - **An append that was acknowledged survives a crash**, in its place: batches are there in the order of their numbers, without a gap.
//! - **One that was not is there whole or not at all**, and may be tried again; so may everything else that failed.
//! - **A failed sync is final for its file.** The next append begins a new segment, with the same batch.
//! - **What a process has left is only read**, until the truth has it and it is removed whole: see [`EndedOutbox`].
//! - **What the truth has is kept for a while**, in case it loses it.
//! - **What waits is merged** when it is much: the last state of each key is in one batch.
//! - **Nothing is made up.** What is not as it was written is told, not skipped.
//!
//! It is synchronous and belongs to one thread; batches are read, and merged, on any.

mod append;
mod catalog;
mod compaction;
mod ended;
mod error;
mod folder;
mod format;
mod name;
mod read;
mod scan;
mod segment;
mod whole;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::directory::DataDirectory;
use super::disk::{DiskFile, failed, remove_if_there};
use crate::clock::Timestamp;
use catalog::Catalog;
pub use compaction::{Compacted, Compaction};
pub use ended::{EndedOutbox, TornTail};
pub use error::OutboxError;
use folder::{Folder, sync_directory};
use format::Salt;
pub use name::Name;
use name::SegmentName;
pub use read::{Batches, Stored};

/// How much an outbox keeps, and in which portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment that has as many bytes is the last one no more.
    pub segment_bytes: u64,
    /// The bytes, in whole segments, that are kept at least although the truth has them.
    pub window_bytes: u64,
    /// For how long they are.
    pub window_micros: u64,
    /// From how many bytes on, in whole segments that wait for the truth, they are merged.
    pub compact_bytes: u64,
}

impl Default for Limits {
    /// 64 MiB a segment, the last 64 MiB or 60 s of what was applied, merged from 256 MiB on.
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            segment_bytes: 64 * MIB,
            window_bytes: 64 * MIB,
            window_micros: 60_000_000,
            compact_bytes: 256 * MIB,
        }
    }
}

/// The segment that is written to.
struct Active {
    name: SegmentName,
    file: Box<dyn DiskFile>,
    salt: Salt,
}

/// An outbox. See the module for what it promises.
pub struct Outbox {
    folder: Arc<Folder>,
    limits: Limits,
    catalog: Arc<Mutex<Catalog>>,
    /// `None`: the next append begins a new segment.
    active: Option<Active>,
    /// Higher than the numbers of all files there are.
    next_number: u64,
    /// Files to be removed, in groups: those of a later group may be what makes those of an earlier one superfluous.
    removals: VecDeque<Vec<PathBuf>>,
    /// Whether files of an earlier group were removed and a crash may bring them back.
    may_come_back: bool,
    /// The last batch that the truth has again, while what it lost is replayed: what is behind it is not applied, whatever was before.
    replay: Option<u64>,
    /// There while a compaction is.
    compaction: Weak<()>,
    /// From how many waiting bytes on the next one is worth it.
    compact_from: u64,
    buffer: Vec<u8>,
}

impl Outbox {
    /// Makes an outbox.
    ///
    /// # Errors
    /// [`OutboxError::Exists`] where there is one of that name with something in it.
    pub fn create(directory: &DataDirectory, name: Name, limits: Limits) -> Result<Self, OutboxError> {
        let folder = Folder::new(directory, name);
        let path = &folder.path;
        match folder.disk.create_directory(path) {
            // An attempt before this one may have failed behind it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !folder.disk.list(path).map_err(failed("listed", path))?.is_empty() {
                    return Err(OutboxError::Exists { directory: path.clone() });
                }
            }
            made => made.map_err(failed("made", path))?,
        }
        sync_directory(&*folder.disk, directory.path())?;
        Ok(Self::new(folder, limits))
    }

    /// The outboxes that are there, the oldest epoch first. Removes what is left of those that were being removed.
    ///
    /// # Errors
    /// [`OutboxError::Disk`].
    pub fn find(directory: &DataDirectory) -> Result<Vec<Name>, OutboxError> {
        whole::find(directory)
    }

    /// Gives an outbox that nobody uses a name that no outbox has, `set-aside-...`; answers where it is now. Overwrites nothing.
    ///
    /// # Errors
    /// [`OutboxError::Disk`]; it may have been renamed.
    pub fn set_aside(directory: &DataDirectory, name: Name) -> Result<PathBuf, OutboxError> {
        whole::set_aside(directory, name)
    }

    /// Removes an outbox that nobody uses. After a crash it is there whole, or not at all.
    ///
    /// # Errors
    /// [`OutboxError::Disk`]; it, or a part of it, may be gone. [`find`](Self::find) removes the rest.
    pub fn remove(directory: &DataDirectory, name: Name) -> Result<(), OutboxError> {
        whole::remove(directory, name)
    }

    fn new(folder: Folder, limits: Limits) -> Self {
        Self {
            folder: Arc::new(folder),
            limits,
            catalog: Arc::default(),
            active: None,
            next_number: 0,
            removals: VecDeque::new(),
            may_come_back: false,
            replay: None,
            compaction: Weak::new(),
            compact_from: limits.compact_bytes,
            buffer: Vec::new(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> Name {
        self.folder.name
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// The first number that is kept; `None`: nothing is.
    #[must_use]
    pub fn first_kept_seq(&self) -> Option<u64> {
        self.catalog.lock().first_seq()
    }

    /// The last number that was appended; `None`: none was.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        self.catalog.lock().last_seq()
    }

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.catalog.lock().bytes()
    }

    /// Bytes that wait for the truth, up to 64 KiB more in what is applied in part.
    #[must_use]
    pub fn unapplied_bytes(&self) -> u64 {
        self.catalog.lock().unapplied_bytes()
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.catalog.lock().segments().len()
    }

    /// The batches behind `seq`, beginning with the one that covers the next number.
    #[must_use]
    pub fn read_after(&self, seq: u64) -> Batches {
        Batches::new(Arc::clone(&self.folder), Arc::clone(&self.catalog), seq)
    }

    /// Notes that the truth has everything up to `seq`, and removes what was applied long enough ago, at most the window's bytes being
    /// kept. Call it again with the same number to let time pass.
    ///
    /// # Errors
    /// [`OutboxError::Disk`] where a file cannot be removed; the next call tries again.
    pub fn applied(&mut self, seq: u64, now: Timestamp) -> Result<(), OutboxError> {
        let seq = self.replay.map_or(seq, |replay| replay.min(seq));
        let outlived = self.catalog.lock().applied(seq, now, &self.limits);
        self.removals.extend(outlived.into_iter().map(|segment| vec![self.folder.path_of(segment)]));
        self.remove_files()
    }

    /// Removes everything, so that any number may be appended next: for an outbox whose batches, and those behind them that no disk
    /// took, are in the truth.
    ///
    /// # Errors
    /// [`OutboxError::Disk`] where not everything is removed yet; then nothing may be appended, or the gap would be there after a crash.
    pub fn clear(&mut self) -> Result<(), OutboxError> {
        self.active = None;
        let all: Vec<_> = self.catalog.lock().segments().iter().map(|segment| segment.name).collect();
        for segment in all {
            let group = vec![self.folder.path_of(segment)];
            if !self.removals.contains(&group) {
                self.removals.push_back(group);
            }
        }
        self.remove_files()?;
        self.folder.sync()?;
        self.may_come_back = false;
        *self.catalog.lock() = Catalog::new(Vec::new());
        Ok(())
    }

    /// Notes that the truth has lost what is behind `seq`, so that it is kept until it is [`replayed`](Self::replayed).
    pub fn set_back(&mut self, seq: u64) {
        self.replay = Some(seq);
        self.catalog.lock().set_back(seq);
    }

    /// Notes that the truth has what it had lost up to `seq`.
    pub fn replayed(&mut self, seq: u64) {
        self.replay = self.replay.map(|replay| replay.max(seq));
    }

    /// Notes that the truth has all again.
    pub fn end_replay(&mut self) {
        self.replay = None;
    }

    /// Forgets the files that somebody has removed of which batch `seq` + 1 is in the first, and what the truth has before them; tells
    /// whether there was any. A directory that is away with everything else is not taken for one that was removed.
    pub fn forget_missing(&mut self, seq: u64) -> bool {
        let there = match self.folder.disk.list(&self.folder.path) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound && self.folder.has_parent() => Vec::new(),
            Err(_) => return false,
        };
        let is_there =
            |name: SegmentName| there.iter().any(|file| SegmentName::parse(file) == Some((name, true)));
        let forgotten = self.catalog.lock().forget_missing(seq, is_there);
        let outlived = forgotten.iter().filter(|name| is_there(**name));
        self.removals.extend(outlived.map(|name| vec![self.folder.path_of(*name)]));
        if self.active.as_ref().is_some_and(|active| !is_there(active.name)) {
            self.active = None;
        }
        !forgotten.is_empty()
    }

    /// What is to be merged, if it is worth it; `None` too while a compaction that was given out is there.
    ///
    /// # Errors
    /// [`OutboxError::Disk`] where it cannot be read.
    pub fn compaction(&mut self) -> Result<Option<Compaction>, OutboxError> {
        let catalog = self.catalog.lock();
        let waiting = || catalog.waiting();
        let bytes: u64 = waiting().map(|segment| segment.end).sum();
        if bytes < self.limits.compact_bytes {
            self.compact_from = self.limits.compact_bytes;
            return Ok(None);
        }
        let Some(first) = waiting().next() else { return Ok(None) };
        if self.compaction.strong_count() > 0 || waiting().count() < 2 || bytes < self.compact_from {
            return Ok(None);
        }
        // Where this one fails, the next one waits until there is twice as much.
        self.compact_from = bytes.saturating_mul(2);
        let token = Arc::new(());
        self.compaction = Arc::downgrade(&token);
        let name = SegmentName { first_seq: first.name.first_seq, number: self.next_number };
        self.next_number += 1;
        Compaction::new(&self.folder, waiting(), name, token).map(Some)
    }

    /// Puts a merged segment where those are that it was made of, unless some of their batches were applied meanwhile; tells whether it did.
    ///
    /// # Errors
    /// [`OutboxError::Disk`] where it cannot take their place, which stay as they are, or where they cannot be removed yet.
    pub fn replace(&mut self, done: Compacted) -> Result<bool, OutboxError> {
        let Compacted { covered, segment, file, .. } = done;
        if !self.catalog.lock().can_replace(&covered) {
            return Ok(false);
        }
        let path = self.folder.path_of(segment.name);
        let named = self.folder.disk.rename(&file.path, &path).map_err(failed("renamed", &file.path));
        if let Err(error) = named.and_then(|()| self.folder.sync()) {
            // It may have its name now, or after a crash. It goes before what it covers does.
            self.removals.push_back(vec![path]);
            return Err(error.into());
        }
        self.compact_from = self.limits.compact_bytes.max(segment.end.saturating_mul(2));
        self.catalog.lock().replace(&covered, segment);
        self.removals.push_back(covered.into_iter().map(|segment| self.folder.path_of(segment)).collect());
        self.remove_files()?;
        Ok(true)
    }

    /// Removes what is to be removed. One group is gone for good before the next one goes: else a crash could bring back a file
    /// without one that it needs.
    fn remove_files(&mut self) -> Result<(), OutboxError> {
        while let Some(group) = self.removals.front() {
            if self.may_come_back {
                self.folder.sync()?;
                self.may_come_back = false;
            }
            for path in group {
                remove_if_there(&*self.folder.disk, path).map_err(failed("removed", path))?;
            }
            self.may_come_back = true;
            self.removals.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
