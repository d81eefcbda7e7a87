//! Reads memory as it was at a cut, and makes parts of it: on a thread of its own, since it takes a core for a while.

use std::ops::ControlFlow;

use tokio::sync::mpsc;

use super::error::SnapshotError;
use super::format::{BLOCK_BYTES, FinishedPart, Holds, PartHeader, PartWriter, SealingKey, SnapshotId};
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{DATABASES, DatabaseSet, Expiry, SnapshotCut, SnapshotEntry, Visit};
use crate::persist::{ClosedPeriod, DataSetId, Record, StoredValue};

/// Bytes from which a part is ended. Small, since so much memory is held for each part that is made or on its way.
const PART_BYTES: usize = 4 << 20;

/// Bytes of old states kept for the snapshot from which they are read before anything else.
const KEPT_BYTES: u64 = 4 << 20;

/// How often a snapshot that is of no single moment looks for what was made meanwhile: each look takes a part of the time of the one
/// before, so that a few end it unless they never do.
const MOST_PASSES: usize = 8;

/// A part with its number.
pub(super) struct Numbered {
    /// Its number: parts are counted from 0 on, and none is missing.
    pub number: u32,
    /// What is in it.
    pub holds: Holds,
    /// What it is.
    pub part: FinishedPart,
    /// The databases that it has entries of, where some are ephemeral.
    pub databases: DatabaseSet,
}

/// What all parts of a snapshot have in common.
pub(super) struct PartOptions {
    pub data_set: DataSetId,
    pub snapshot: SnapshotId,
    pub cut_at: Timestamp,
    pub key: Option<SealingKey>,
    /// The databases that the truth does not have.
    pub ephemeral: DatabaseSet,
}

/// The parts of a snapshot, made one after the other.
pub(super) struct Parts {
    options: PartOptions,
    /// Where parts go that are ended; whoever ends one waits until it is taken.
    taker: mpsc::Sender<Numbered>,
    open: Option<PartWriter>,
    number: u32,
    /// What is added.
    holds: Holds,
    counts: [u64; DATABASES],
    /// The databases of what was added to the open part.
    databases: DatabaseSet,
    closed_periods: u64,
    /// Bytes that were added since the last blocks were packed.
    added: usize,
}

impl Parts {
    pub(super) fn new(options: PartOptions, taker: mpsc::Sender<Numbered>) -> Self {
        Self {
            options,
            taker,
            open: None,
            number: 0,
            holds: Holds::Entries,
            counts: [0; DATABASES],
            closed_periods: 0,
            databases: DatabaseSet::NONE,
            added: 0,
        }
    }

    /// Makes room for entries, outside of any guard.
    fn open(&mut self) -> Result<(), SnapshotError> {
        if self.open.is_none() {
            let PartOptions { data_set, snapshot, key, .. } = &self.options;
            let (data_set, snapshot, number, holds) = (*data_set, *snapshot, self.number, self.holds);
            let header = PartHeader { data_set, snapshot, number, holds };
            let writer = PartWriter::new(&header, key.as_ref()).map_err(SnapshotError::failed)?;
            self.open = Some(writer);
        }
        Ok(())
    }

    /// Adds an entry, unless it had ended at the cut, and says when it is time to pack. Under a guard, so nothing is packed here.
    fn add(&mut self, database: u8, key: &[u8], content: &Content, expiry: Expiry) -> ControlFlow<()> {
        if expiry.has_passed(self.options.cut_at) {
            return ControlFlow::Continue(());
        }
        let writer = self.open.as_mut().expect("a part is open while entries are added");
        writer.entry(database, key, content, expiry);
        self.counts[usize::from(database)] += 1;
        self.databases = self.databases.with(database);
        self.added += key.len() + content.heap_bytes();
        if self.added < BLOCK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Adds entries that `read` hands out, then packs what is full and sends a part that is.
    fn fill<R>(&mut self, read: impl FnOnce(Visit<'_>) -> R) -> Result<R, SnapshotError> {
        self.open()?;
        let result = read(&mut |entry| self.add(entry.database, entry.key, &entry.content, entry.expiry));
        self.added = 0;
        self.turn()?;
        Ok(result)
    }

    /// Packs what is full and sends a part that is.
    fn turn(&mut self) -> Result<(), SnapshotError> {
        let writer = self.open.as_mut().expect("it was opened");
        writer.turn_block().map_err(SnapshotError::failed)?;
        if writer.stored_bytes() >= PART_BYTES || writer.is_full() {
            self.send()?;
        }
        Ok(())
    }

    /// Ends the part that is open and waits until it is taken; one without entries is no part.
    fn send(&mut self) -> Result<(), SnapshotError> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        let part = writer.finish().map_err(SnapshotError::failed)?;
        if part.entries > 0 {
            let databases =
                if self.options.ephemeral.is_empty() { DatabaseSet::NONE } else { self.databases };
            let numbered = Numbered { number: self.number, holds: self.holds, part, databases };
            let sent = self.taker.blocking_send(numbered);
            sent.map_err(|_| SnapshotError::failed("nobody takes its parts any more"))?;
            self.number += 1;
            self.databases = DatabaseSet::NONE;
        }
        Ok(())
    }

    /// Adds closed periods, behind all entries.
    pub(super) fn add_closed(&mut self, periods: &[ClosedPeriod]) -> Result<(), SnapshotError> {
        if self.holds == Holds::Entries {
            self.send()?;
            self.holds = Holds::ClosedPeriods;
        }
        let mut periods = periods.iter().peekable();
        while periods.peek().is_some() {
            self.open()?;
            let writer = self.open.as_mut().expect("it was opened");
            let mut added = 0;
            for period in periods.by_ref() {
                writer.closed(period);
                self.closed_periods += 1;
                added += period.subject.len() + size_of::<ClosedPeriod>();
                if added >= BLOCK_BYTES {
                    break;
                }
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Ends the last part; answers the entries by database, and the closed periods. Whoever takes parts then knows that there are no more.
    pub(super) fn end(mut self) -> Result<([u64; DATABASES], u64), SnapshotError> {
        self.send()?;
        Ok((self.counts, self.closed_periods))
    }

    /// Reads all of memory.
    ///
    /// # Errors
    /// When keys are made or renamed faster than they are read.
    pub(super) fn read_memory(&mut self, cut: &SnapshotCut) -> Result<(), SnapshotError> {
        self.read_places(cut)?;
        // One that is of no single moment owes what was made since: it may have been under another name, unread.
        for _ in 0..MOST_PASSES {
            let before = self.counts;
            if cut.is_exact() {
                return Ok(());
            }
            self.read_places(cut)?;
            if self.counts == before {
                return Ok(());
            }
        }
        Err(SnapshotError::failed(
            "keys are made or renamed faster than they can be read: the next one may get them",
        ))
    }

    fn read_places(&mut self, cut: &SnapshotCut) -> Result<(), SnapshotError> {
        let mut is_ephemeral = false;
        for place in cut.places() {
            // A start that wants only the ephemeral ones need not read the others' parts.
            if self.options.ephemeral.contains(place.database()) != is_ephemeral {
                self.send()?;
                is_ephemeral = !is_ephemeral;
            }
            let mut slot = Some(0);
            while let Some(from) = slot {
                slot = self.fill(|add| cut.read(place, from, add))?;
                if cut.kept_bytes() > KEPT_BYTES {
                    self.read_kept(cut)?;
                }
            }
        }
        self.read_kept(cut)
    }

    /// Reads what changed behind the cut and was kept, and what was emptied away.
    pub(super) fn read_kept(&mut self, cut: &SnapshotCut) -> Result<(), SnapshotError> {
        for place in cut.places() {
            while self.fill(|add| cut.read_kept(place, add))? {}
        }
        while self.fill(|add| cut.read_emptied(add))? {}
        Ok(())
    }

    /// Adds rows of the truth.
    pub(super) fn add_records(&mut self, records: Vec<Record>) -> Result<(), SnapshotError> {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            self.fill(|add| {
                for Record { database, key, value } in records.by_ref() {
                    let Some(StoredValue { content, expiry }) = value else { continue };
                    if add(SnapshotEntry { database, key: &key, content, expiry }).is_break() {
                        break;
                    }
                }
            })?;
        }
        Ok(())
    }
}
